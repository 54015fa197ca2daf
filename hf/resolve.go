package hf

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
)

// listing is what the Hub knows of a model at one commit.
type listing struct {
	Repo     string // as asked for
	Revision string // as asked for
	Commit   string // 40 hexadecimal digits
	Files    []remoteFile
}

// remoteFile is a file of a model on the Hub.
type remoteFile struct {
	Name   string // slash-separated path within the model
	Size   int64
	SHA256 string // of a file in LFS or Xet storage, else ""
	SHA1   string // git's: of "blob <size>\0" and the content; of a large file's pointer otherwise
}

// etag is the name of the file's content in the cache: what the Hub answers as ETag or X-Linked-Etag.
func (f *remoteFile) etag() string {
	if f.SHA256 != "" {
		return f.SHA256
	}
	return f.SHA1
}

// maxListing bounds the description of a model. That of a repository with 100,000 files takes 25 MB.
const maxListing = 128 << 20

// resolve asks the Hub which commit a revision is now, and what files the model has there. The error is an
// *Error of kind ErrNotFound, ErrRevision, ErrUnauthorized or ErrOffline where one fits.
func (c *Client) resolve(ctx context.Context, repo, revision string, retries int) (*listing, error) {
	// GET /api/models/<repo>/revision/<revision>, HfApi.model_info with files_metadata=True.
	address := c.endpoint + "/api/models/" + repo + "/revision/" + url.PathEscape(revision) + "?blobs=true"
	var data []byte
	err := c.retry(ctx, retries, func() (bool, error) {
		resp, err := c.get(ctx, address, "", c.etagTimeout)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		data, err = io.ReadAll(io.LimitReader(resp.Body, maxListing+1))
		return false, err
	})
	if err != nil {
		return nil, c.failure(err, repo, revision, "")
	}
	if len(data) > maxListing {
		return nil, fmt.Errorf("model %q: its list of files is longer than %d bytes", repo, maxListing)
	}
	info, err := parseListing(data)
	if err != nil {
		return nil, fmt.Errorf("model %q: answer of %s: %w", repo, c.endpoint, err)
	}
	if isCommit(revision) && info.Commit != revision {
		return nil, fmt.Errorf("model %q: %s answers with commit %s instead of %s", repo, c.endpoint, info.Commit, revision)
	}
	info.Repo, info.Revision = repo, revision
	return info, nil
}

// parseListing reads the Hub's description of a model.
func parseListing(data []byte) (*listing, error) {
	var doc struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name   string `json:"rfilename"`
			Size   *int64 `json:"size"`
			BlobID string `json:"blobId"`
			LFS    *struct {
				SHA256 string `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if !isCommit(doc.SHA) {
		return nil, fmt.Errorf("sha is %.50q, want a commit", doc.SHA)
	}
	info := &listing{Commit: doc.SHA}
	seen := map[string]bool{}
	for _, s := range doc.Siblings {
		if !wanted(s.Name) {
			continue // what isn't fetched needn't be right
		}
		f := remoteFile{Name: s.Name, SHA1: s.BlobID}
		if s.Size != nil {
			f.Size = *s.Size
		}
		if s.LFS != nil {
			f.SHA256, f.Size = s.LFS.SHA256, s.LFS.Size
		}
		switch {
		case seen[f.Name]:
			return nil, fmt.Errorf("file %q is listed twice", f.Name)
		case s.Size == nil && s.LFS == nil, f.Size < 0:
			return nil, fmt.Errorf("file %q: no size", f.Name)
		case s.LFS != nil && !isHex(f.SHA256, 64), s.LFS == nil && !isHex(f.SHA1, 40):
			return nil, fmt.Errorf("file %q: no checksum", f.Name)
		}
		seen[f.Name] = true
		info.Files = append(info.Files, f)
	}
	return info, nil
}

func isHex(s string, n int) bool { return len(s) == n && strings.Trim(s, "0123456789abcdef") == "" }

// isCommit reports whether s is a full git commit hash.
func isCommit(s string) bool { return isHex(s, 40) }

// smallFiles are the patterns of the files beside the weights that a conversion reads, all of which lie
// at the top of a model.
var smallFiles = []string{
	"config*.json", "generation_config.json", "preprocessor_config.json", "processor_config.json", "modules.json", indexFile, torchIndexFile,
	"tokenizer*", "tekken.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "sentencepiece*.model", "spiece.model",
	"*.tiktoken", "tiktoken.model",
	"chat_template*.json", "chat_template*.jinja", "README.md", AdapterConfig,
}

// isSmall reports whether a file is read whole.
func isSmall(name string) bool {
	if !strings.Contains(name, "/") {
		for _, pattern := range smallFiles {
			if ok, _ := path.Match(pattern, name); ok {
				return true
			}
		}
		return false
	}
	// Named chat templates; the pooling of an embedding model, which modules.json names.
	ok1, _ := path.Match("additional_chat_templates/*.jinja", name)
	ok2, _ := path.Match("*_Pooling/config.json", name)
	return ok1 || ok2
}

// wanted reports whether a file may be fetched: what a conversion reads, the weights, and the other weights
// that a message speaks of. Names that could leave the model's folder are not.
func wanted(name string) bool {
	if checkName(name) != nil {
		return false
	}
	if isSmall(name) || strings.HasSuffix(name, ".safetensors") {
		return true
	}
	for _, pattern := range []string{"pytorch_model*.bin", "adapter_model.bin", "*.gguf"} {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}
