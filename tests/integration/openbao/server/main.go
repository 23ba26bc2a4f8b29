// The OpenBao server, for the integration tests alone: this version lacks later security fixes.
package main

import (
	"os"

	"github.com/openbao/openbao/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:]))
}
