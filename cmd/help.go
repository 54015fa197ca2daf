package cmd

import "github.com/spf13/cobra"

// helpTopics are pages of "nexus-quant help" that belong to no command.
func helpTopics() []*cobra.Command {
	return []*cobra.Command{
		{
			Use:   "environment",
			Short: "Environment variables that are read",
			Long: `HF_TOKEN                  token for private and gated models; also HUGGING_FACE_HUB_TOKEN and
                          HUGGINGFACE_TOKEN, else the file $HF_HOME/token (HF_TOKEN_PATH)
HF_ENDPOINT               the Hub (default: https://huggingface.co)
HF_HOME                   Hugging Face's folder (default: $XDG_CACHE_HOME/huggingface,
                          else ~/.cache/huggingface)
HF_HUB_CACHE              where models are kept (default: $HF_HOME/hub)
HF_HUB_OFFLINE            1: never touch the network
NEXUS_QUANT_HOME          folder of the job registry and the settings (default: XDG's state and
                          config folders)
MODELS_DIR                local models that requests to the server may name
QUANTIZATION_OUTPUT_DIR   where the server writes (default: its working directory)
NO_COLOR                  not empty: no colours (also CLICOLOR, CLICOLOR_FORCE, TERM=dumb)
NEXUS_QUANT_KERNELS       generic, avx2, avx512 or neon: which kernels to use; the bytes are the same`,
		},
		{
			Use:   "exit-codes",
			Short: "What exit codes mean",
			Long: `0    done
1    failed
2    the command line is wrong (a Go runtime error also ends with 2)
3    the model or the type is not supported
4    the model needs a login or an accepted licence
5    the model, the revision or the file was not found
6    not enough disk or memory
130  stopped by Ctrl-C

Codes may be added. An unknown code other than 0 means failure.`,
		},
	}
}
