// nexus-quant turns a Hugging Face model into quantized model files.
package main

import (
	"os"

	"github.com/nexus-quant/nexus-quant/cmd"
)

func main() { os.Exit(cmd.Main()) }
