"""A folder of contracts → AppContracts, with every problem of all files at once and its line.

What one file can't show (a dependency that is in no file, a cycle) is found here too; whether the cluster can
keep the contracts is `check.py`'s question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from constructs_lib.contracts import coherence
from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.order import cycles
from constructs_lib.errors import ContractError, Problem, SpecFileError
from constructs_lib.spec.document import Document, Node, compose
from constructs_lib.spec.findings import Finding
from constructs_lib.spec.source import Subject, check_characters, decode, read_bytes
from constructs_lib.spec.validate import Kind, problem, validate
from constructs_lib.spec.wording import did_you_mean, show_key

SUBJECT = Subject(one="contract", file="a contract", least="name, owner, dev and ops")
EXAMPLES: Mapping[str, str] = {
    "name": "the application's name, which is the file's: `name: shop`",
    "owner": "the e-mail address of the team that answers for it: `owner: shop@example.org`",
    "dev": "what the application is: `dev: {image: registry.example.org/shop:1.4.2, …}`",
    "ops": "what it gets: `ops: {cpus: 0.5, memory_mib: 512}`",
    "cpus": "CPUs of each instance: `cpus: 0.5`",
    "memory_mib": "memory of each instance: `memory_mib: 512`",
    "volumes": "folders by name: `volumes: {data: {path: /var/lib/app}}`",
    "volume": "a volume of dev.state: `volume: data`",
    "host": "the name that visitors ask for: `host: shop.example.org`",
    "command": "a command on one line",
    "rule": "the rule that it breaks",
    "reason": "why: `reason: …`",
    "ticket": "where it was agreed: `ticket: OPS-123`",
    "kind": "jvm, node, go or python",
    "min": "the fewest instances: `min: 2`",
    "max": "the most instances: `max: 10`",
    "query": "a PromQL expression",
}
_KIND = Kind(
    AppContract,
    coherence.findings,
    stand_ins=(
        (("name",), "x"),
        (("owner",), "x@example.org"),
        (("dev",), {"image": "x:1"}),
        (("ops",), {"cpus": 1, "memory_mib": 64}),
        (("ops", "cpus"), 1),
        (("ops", "memory_mib"), 64),
    ),
    examples=EXAMPLES,
)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A contract and where it stands."""

    contract: AppContract
    file: str
    """As problems call it."""
    root: Node
    """The file's settings with their lines."""

    def problem(self, finding: Finding) -> Problem:
        """The finding at its line in the file."""
        return problem(finding, self.root, self.file)


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a folder holds: the contracts that are right by themselves, and all that is wrong."""

    contracts: Mapping[str, Loaded]
    """By name, in the order of names."""
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _File:
    file: str
    stem: str
    document: Document | None
    contract: AppContract | None
    problems: tuple[Problem, ...]

    @property
    def name(self) -> str | None:
        """What the file says, even where the rest is wrong."""
        entries = self.document.root.entries if self.document else None
        _, said = (entries or {}).get("name", (0, None))
        return said.value if said and isinstance(said.value, str) else None


def load_contracts(folder: FilePath) -> Mapping[str, Loaded]:
    """The contracts of `folder` by name; ContractError with every problem. No folder is no contract."""
    read = read_contracts(folder)
    if read.problems:
        raise ContractError(read.problems)
    return read.contracts


def read_contracts(folder: FilePath) -> Read:
    """The contracts of `folder`, and all problems of all files."""
    files, wrong = _files(folder)
    # Those called as their files first: of two with one name the other one is wrong.
    found = sorted((_file(path) for path in files), key=lambda one: one.name != one.stem)
    problems = [*wrong, *(each for one in found for each in (*one.problems, *_name(one)))]
    contracts: dict[str, Loaded] = {}
    for one in found:
        if one.contract and one.document:
            loaded = Loaded(contract=one.contract, file=one.file, root=one.document.root)
            first = contracts.setdefault(one.contract.name, loaded)
            if first is not loaded:
                problems.append(_twice(loaded, first))
    names = {one.name for one in found if one.name} | {one.stem for one in found}
    problems += _dependencies(contracts, names)
    return Read(contracts=dict(sorted(contracts.items())), problems=tuple(problems))


def parse_contract(text: str | bytes, file: str = "contract.yaml") -> AppContract:
    """The contract in the text of one file; ContractError with every problem."""
    document, contract, problems = _parse(text, file)
    if problems or contract is None or document is None:
        raise ContractError(problems)
    return contract


def _files(folder: FilePath) -> tuple[list[FilePath], list[Problem]]:
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return [], []
    except OSError as error:
        reason = error.strerror or "unreadable"
        message = f"can't be read as a folder of contracts: {reason}"
        return [], [Problem(file=str(folder), line=0, path="", message=message)]
    wrong = [
        Problem(file=str(path), line=0, path="", message=f"is not read: call it {path.stem}.yaml")
        for path in entries
        if path.suffix.lower() in (".yml", ".yaml") and path.suffix != ".yaml"
    ]
    return [path for path in entries if path.suffix == ".yaml"], wrong


def _file(path: FilePath) -> _File:
    file = str(path)
    try:
        data = read_bytes(path, SUBJECT)
    except SpecFileError as error:
        return _File(file, path.stem, None, None, error.problems)
    return _File(file, path.stem, *_parse(data, file))


def _parse(text: str | bytes, file: str) -> tuple[Document | None, AppContract | None, tuple[Problem, ...]]:
    try:
        if isinstance(text, bytes):
            text = decode(text, file)
        else:
            text = text.removeprefix("\ufeff")
            check_characters(text, file)
        document = compose(text, file, SUBJECT)
    except SpecFileError as error:
        return None, None, error.problems
    contract, problems = validate(document, file, _KIND)
    # One that is wrong is not looked at further, but for its name.
    return document, None if problems else contract, problems


def _name(one: _File) -> Iterator[Problem]:
    wrong = any(each.path == "name" for each in one.problems)
    if one.name is not None and one.name != one.stem and one.document and not wrong:
        message = (
            f"got {show_key(one.name)} in {one.stem}.yaml, expected the same name for both: call the file "
        )
        yield problem(Finding(("name",), f"{message}{show_key(one.name)}.yaml"), one.document.root, one.file)


def _twice(one: Loaded, first: Loaded) -> Problem:
    message = f"got {one.contract.name}, which {first.file} is called too, expected a name of its own"
    return one.problem(Finding(("name",), message))


def _dependencies(contracts: Mapping[str, Loaded], names: set[str]) -> Iterator[Problem]:
    for loaded in contracts.values():
        for index, other in enumerate(loaded.contract.dev.depends_on):
            if other not in names:
                near = did_you_mean(other, names)
                words = f"did you mean {near}?" if near else "expected the name of another contract"
                yield loaded.problem(
                    Finding(
                        ("dev", "depends_on", index), f"got {other}, which no contract is called; {words}"
                    )
                )
    for cycle in cycles({name: loaded.contract.dev.depends_on for name, loaded in contracts.items()}):
        first = contracts[cycle[0]]
        index = first.contract.dev.depends_on.index(cycle[1])
        words = f"a cycle: {' → '.join(cycle)}; none of them could be started first, so one has to do without"
        yield first.problem(Finding(("dev", "depends_on", index), words))
