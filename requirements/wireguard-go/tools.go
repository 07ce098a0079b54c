//go:build tools

// Package tools names the program that this module pins.
package tools

import _ "golang.zx2c4.com/wireguard"
