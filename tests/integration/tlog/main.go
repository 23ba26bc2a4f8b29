// Tlogcheck checks a log with programs we did not write: golang.org/x/mod/sumdb for the tree and the notes,
// transparency-dev/formats for cosignatures and proof files. Nothing of the Python code is used here.
//
//	tlogcheck log DIR VKEY [since=CHECKPOINT] [pruned=N]
//	tlogcheck proof FILE VKEY
//	tlogcheck cosigned FILE VKEY WITNESS-VKEY ...
//
// It ends with 1 and the reason when something does not hold.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8 // tlog-tiles: 256 hashes to a tile

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("accepted")
}

func run(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: tlogcheck log|proof|cosigned PATH VKEY [...]")
	}
	switch args[0] {
	case "log":
		return checkLog(args[1], args[2], args[3:])
	case "proof":
		return checkProof(args[1], args[2])
	case "cosigned":
		return checkCosigned(args[1], args[2], args[3:])
	}
	return errors.New("unknown command")
}

// open reads a signed checkpoint: the origin line, then what tlog.ParseTree knows under its own first line.
func open(raw []byte, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	origin, rest, _ := strings.Cut(opened.Text, "\n")
	if origin != verifier.Name() {
		return tlog.Tree{}, errors.New("the checkpoint names another log")
	}
	return tlog.ParseTree([]byte("go.sum database tree\n" + rest))
}

// tiles gives tlog the files under the names of tlog-tiles.
type tiles struct{ dir string }

func (t tiles) Height() int                                { return height }
func (t tiles) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		data, err := os.ReadFile(filepath.Join(t.dir, path(strconv.Itoa(tile.L), tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func path(level string, n int64, width int) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	if width < 1<<height {
		name += fmt.Sprintf(".p/%d", width)
	}
	return filepath.Join("tile", level, name)
}

func checkLog(dir, vkey string, more []string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := open(raw, vkey)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, tiles{dir})
	first, more, err := keptFrom(more)
	if err != nil {
		return err
	}
	if err := checkEntries(dir, tree, reader, first); err != nil {
		return err
	}
	for _, each := range more {
		file, ok := strings.CutPrefix(each, "since=")
		if !ok {
			return errors.New("unknown option")
		}
		if err := checkContinues(file, vkey, tree, reader); err != nil {
			return err
		}
	}
	return nil
}

// keptFrom takes the number of bundles that are withheld, tlog-tiles' minimum index, out of the options.
func keptFrom(options []string) (int64, []string, error) {
	var first int64
	var rest []string
	for _, each := range options {
		said, ok := strings.CutPrefix(each, "pruned=")
		if !ok {
			rest = append(rest, each)
			continue
		}
		pruned, err := strconv.ParseInt(said, 10, 64)
		if err != nil || pruned%(1<<height) != 0 {
			return 0, nil, errors.New("a log is pruned by whole bundles")
		}
		first = pruned >> height
	}
	return first, rest, nil
}

func checkEntries(dir string, tree tlog.Tree, reader tlog.HashReader, first int64) error {
	for n := first; n<<height < tree.N; n++ {
		width := min(tree.N-n<<height, 1<<height)
		data, err := os.ReadFile(filepath.Join(dir, path("entries", n, int(width))))
		if err != nil {
			return err
		}
		var indexes []int64
		for i := range width {
			indexes = append(indexes, tlog.StoredHashIndex(0, n<<height+i))
		}
		hashes, err := reader.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, hash := range hashes {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return fmt.Errorf("bundle %d is cut", n)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			if tlog.RecordHash(data[2:end]) != hash {
				return fmt.Errorf("entry %d does not hash to its leaf", n<<height+int64(i))
			}
			data = data[end:]
		}
		if len(data) > 0 {
			return fmt.Errorf("bundle %d has bytes behind it", n)
		}
	}
	return nil
}

func checkContinues(file, vkey string, tree tlog.Tree, reader tlog.HashReader) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	old, err := open(raw, vkey)
	if err != nil || old.N == 0 {
		return err
	}
	if old.N > tree.N {
		return errors.New("the log shrank")
	}
	path, err := tlog.ProveTree(tree.N, old.N, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(path, tree.N, tree.Hash, old.N, old.Hash)
}

func checkProof(file, vkey string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var read proof.TLogProof
	if err := read.Unmarshal(raw); err != nil {
		return err
	}
	tree, err := open(read.Checkpoint, vkey)
	if err != nil {
		return err
	}
	if !bytes.Equal(read.Marshal(), raw) {
		return errors.New("the proof file is not in its one spelling")
	}
	var path tlog.RecordProof
	for _, hash := range read.Hashes {
		path = append(path, tlog.Hash(hash))
	}
	return tlog.CheckRecord(path, tree.N, tree.Hash, int64(read.Index), tlog.RecordHash(read.ExtraData))
}

// checkCosigned asks for a cosignature of every witness named, over a checkpoint the log signed.
func checkCosigned(file, vkey string, witnesses []string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := open(raw, vkey); err != nil {
		return err
	}
	for _, each := range witnesses {
		verifier, err := fnote.NewVerifierForCosignatureV1(each)
		if err != nil {
			return err
		}
		opened, err := note.Open(raw, note.VerifierList(verifier))
		if err != nil {
			return fmt.Errorf("%s: %w", verifier.Name(), err)
		}
		when, err := fnote.CoSigV1Timestamp(opened.Sigs[0])
		if err != nil {
			return err
		}
		fmt.Println(verifier.Name(), when.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return nil
}
