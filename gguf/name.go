package gguf

import (
	"fmt"
	"strings"
)

// TrimType takes from a file's name all that a new file of another type must not keep: ".gguf", the
// shard's number ("-00001-of-00003"), and a trailing file type ("-Q4_K_M", ".f16"), in any case.
// A name that is nothing but a type stays as it is.
func TrimType(name string) string {
	name = trimGGUF(name)
	if prefix, _, _, ok := cutShard(name); ok {
		name = prefix
	}
	at := strings.LastIndexAny(name, "-.")
	if at > 0 && isTypeName(name[at+1:]) {
		name = name[:at]
	}
	return name
}

func isTypeName(s string) bool {
	for _, f := range fileTypes {
		if strings.EqualFold(f.name, s) {
			return true
		}
	}
	for _, a := range fileTypeAliases {
		if strings.EqualFold(a.name, s) {
			return true
		}
	}
	return strings.EqualFold(s, "FP16") || strings.EqualFold(s, "FP32")
}

// LaterShard tells whether a file's name is that of a shard of a split model other than the first.
func LaterShard(name string) bool {
	_, no, _, ok := cutShard(trimGGUF(name))
	return ok && no > 1
}

func trimGGUF(name string) string {
	const ext = ".gguf"
	if n := len(name) - len(ext); n > 0 && strings.EqualFold(name[n:], ext) {
		return name[:n]
	}
	return name
}

// cutShard takes "-00002-of-00003" from the end of a name without extension: no is 2, count is 3.
func cutShard(name string) (prefix string, no, count int, ok bool) {
	const suffix = len("-00001-of-00001")
	at := len(name) - suffix
	if at <= 0 {
		return name, 0, 0, false
	}
	s := name[at:]
	no, okNo := digits(s[1:6])
	count, okCount := digits(s[10:])
	if s[0] != '-' || s[6:10] != "-of-" || !okNo || !okCount || no < 1 || no > count {
		return name, 0, 0, false
	}
	return name[:at], no, count, true
}

func digits(s string) (n int, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// ShardName is the name of shard no (from 1) of count: llama_split_path of llama.cpp.
func ShardName(prefix string, no, count int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", prefix, no, count)
}
