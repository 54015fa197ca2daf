package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// probeText is what llama.cpp's converter tells byte-level tokenizers apart by: it names one by the SHA-256 of the ids
// that this text gets (get_vocab_base_pre in conversion/base.py).
const probeText = "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis concatenated) ✅ 🦙🦙 " +
	"3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～ ------======= нещо на Български " +
	"''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? 'M not sure I'll make it, 'D you like some tea? We'Ve a'lL"

// probe names the pre-tokenizer as the converter does, for a tokenizer that the converter knows; else "". It tells apart
// names that stand for the same definition. It can't be wrong: where it takes ids for others than the tokenizers library
// gives, the hash is nobody's, and the definition decides.
func (l *loader) probe(names map[string]string) string {
	ids, ok := l.encode(probeText)
	if !ok {
		return ""
	}
	for _, around := range l.surroundings() {
		if name := names[hashIDs(slices.Concat(around[0], ids, around[1]))]; slices.Contains(knownPre, name) {
			return name
		}
	}
	return ""
}

// hashIDs is the hash of a list of ids as Python writes it.
func hashIDs(ids []int64) string {
	text := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = strconv.AppendInt(text, id, 10)
	}
	sum := sha256.Sum256(append(text, ']'))
	return hex.EncodeToString(sum[:])
}

// encode gives the ids of a text without the special tokens around it. It is not ok if that takes a step that isn't
// known here.
func (l *loader) encode(text string) ([]int64, bool) {
	t := l.files.tokenizer
	parts := cutAdded([]part{{text: text}}, t.AddedTokens, false)
	parts = cutAdded(parts, t.AddedTokens, true)
	var words []part
	for _, p := range parts {
		if p.added {
			words = append(words, p)
			continue
		}
		normal, ok := normalize(p.text, flatten(t.Normalizer, "normalizers"))
		if !ok {
			return nil, false
		}
		pieces, ok := preTokenize(normal, flatten(t.PreTokenizer, "pretokenizers"))
		if !ok {
			return nil, false
		}
		for _, piece := range pieces {
			words = append(words, part{text: piece})
		}
	}
	ranks := ranksWithin(words, t.merges)
	var ids []int64
	for _, w := range words {
		if w.added {
			ids = append(ids, w.id)
			continue
		}
		if id, known := t.vocab[w.text]; known && t.Model.IgnoreMerges {
			ids = append(ids, id)
			continue
		}
		for _, symbol := range t.merge(w.text, ranks) {
			id, known := t.vocab[symbol]
			if !known {
				return nil, false
			}
			ids = append(ids, id)
		}
	}
	return ids, true
}

// part is a stretch of text, or an added token that was found in it.
type part struct {
	text  string
	added bool
	id    int64
}

// cutAdded finds added tokens in a text, of several the longest: first those that are looked for in the text as it is,
// then those in the text as it is normalised. Nothing that is known here changes the probe's text where such tokens match.
func cutAdded(parts []part, tokens []addedToken, normalized bool) (out []part) {
	for _, p := range parts {
		var within []addedToken
		for _, t := range tokens {
			if t.normalized() == normalized && t.Content != "" && !p.added && strings.Contains(p.text, t.Content) {
				within = append(within, t)
			}
		}
		start := 0
		for pos := 0; pos < len(p.text) && len(within) > 0; {
			var found addedToken
			for _, t := range within {
				if len(t.Content) > len(found.Content) && strings.HasPrefix(p.text[pos:], t.Content) {
					found = t
				}
			}
			if found.Content == "" {
				pos++
				continue
			}
			if start < pos {
				out = append(out, part{text: p.text[start:pos]})
			}
			out = append(out, part{added: true, id: found.ID})
			pos += len(found.Content)
			start = pos
		}
		if rest := p.text[start:]; rest != "" || p.added {
			out = append(out, part{rest, p.added, p.id})
		}
	}
	return out
}

// normalize does to a text what the normalizers of a tokenizer.json say. The probe's text is in the form NFC.
func normalize(text string, steps []any) (string, bool) {
	for _, s := range steps {
		switch typeOf(s) {
		case "NFC":
		case "Lowercase":
			text = strings.ToLower(text)
		case "Replace":
			literal, ok := dig(s, "pattern", "String").(string)
			if !ok {
				return "", false
			}
			text = strings.ReplaceAll(text, literal, str(dig(s, "content")))
		default:
			return "", false
		}
	}
	return text, true
}

// ranksWithin are the ranks of the merges that words can need: a vocabulary has hundreds of thousands of others.
func ranksWithin(words []part, merges []string) map[string]int {
	within := map[string]bool{}
	for _, w := range words {
		for i := range w.text {
			for j := range w.text[i:] {
				within[w.text[i:i+j]] = true
			}
			within[w.text[i:]] = true
		}
	}
	ranks := map[string]int{}
	var joined []byte
	for rank, m := range merges {
		left, right, _ := strings.Cut(m, " ")
		joined = append(append(joined[:0], left...), right...)
		if within[string(joined)] {
			if _, twice := ranks[m]; !twice {
				ranks[m] = rank
			}
		}
	}
	return ranks
}

// merge joins the characters of a word as the merges say, the one of the lowest rank first. A character that is no token
// falls back to its bytes where the tokenizer does so.
func (t *tokenizerJSON) merge(word string, ranks map[string]int) []string {
	var symbols []string
	for _, r := range word {
		if _, known := t.vocab[string(r)]; known || !t.Model.ByteFallback {
			symbols = append(symbols, string(r))
			continue
		}
		for _, b := range []byte(string(r)) {
			symbols = append(symbols, fmt.Sprintf("<0x%02X>", b))
		}
	}
	for {
		best, at := len(t.merges), -1
		for i := 1; i < len(symbols); i++ {
			if rank, ok := ranks[symbols[i-1]+" "+symbols[i]]; ok && rank < best {
				best, at = rank, i
			}
		}
		if at < 0 {
			return symbols
		}
		symbols[at-1] += symbols[at]
		symbols = slices.Delete(symbols, at, at+1)
	}
}

// surroundings are the special tokens that may stand around a text: those of the post-processor, else the bos token where
// tokenizer_config.json wants it, which some classes put there on their own.
func (l *loader) surroundings() [][2][]int64 {
	number := func(x any) int64 { n, _ := x.(float64); return int64(n) }
	var around [2][]int64
	for _, step := range flatten(l.files.tokenizer.PostProcessor, "processors") {
		switch typeOf(step) {
		case "TemplateProcessing":
			side := 0
			for _, piece := range list(dig(step, "single")) {
				if dig(piece, "Sequence") != nil {
					side = 1
				}
				for _, id := range list(dig(step, "special_tokens", str(dig(piece, "SpecialToken", "id")), "ids")) {
					around[side] = append(around[side], number(id))
				}
			}
		case "RobertaProcessing", "BertProcessing":
			for side, key := range []string{"cls", "sep"} {
				if pair := list(dig(step, key)); len(pair) == 2 {
					around[side] = append(around[side], number(pair[1]))
				}
			}
		}
	}
	all := [][2][]int64{around}
	if text, ok := content(l.files.config["bos_token"]); ok && isTrue(l.files.config["add_bos_token"]) {
		if id, ok := l.files.tokenizer.idOf(text); ok {
			all = append(all, [2][]int64{{id}, nil})
		}
	}
	return all
}

// idOf is the id of a token, added or not.
func (t *tokenizerJSON) idOf(text string) (int64, bool) {
	for _, a := range t.AddedTokens {
		if a.Content == text {
			return a.ID, true
		}
	}
	id, ok := t.vocab[text]
	return id, ok
}
