package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"

	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
)

// row is a snapshot. Its tree is in a folder named by a number that is never used again.
type row struct {
	Kind    snapshots.Kind    `json:"kind"`
	Parent  string            `json:"parent"`
	Labels  map[string]string `json:"labels"`
	Tree    int               `json:"tree"`
	Created int64             `json:"created"`
	Updated int64             `json:"updated"`
}

// records are the rows by name, in one file. A tree is made before its row and removed after it, so a crash leaves trees
// without rows: the next start sweeps them.
type records struct {
	root   string
	serial int
	rows   map[string]*row
}

func openRecords(root string) (*records, error) {
	r := &records{root: root, rows: map[string]*row{}}
	if err := os.MkdirAll(filepath.Join(root, "trees"), 0o711); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(r.file())
	if err == nil {
		err = json.Unmarshal(text, &[]any{&r.serial, &r.rows})
	}
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return r, r.sweep()
}

func (r *records) sweep() error {
	kept := map[string]bool{}
	for _, row := range r.rows {
		kept[strconv.Itoa(row.Tree)] = true
	}
	trees, err := os.ReadDir(filepath.Join(r.root, "trees"))
	for _, tree := range trees {
		if !kept[tree.Name()] && err == nil {
			err = os.RemoveAll(filepath.Join(r.root, "trees", tree.Name()))
		}
	}
	return err
}

func (r *records) file() string { return filepath.Join(r.root, "snapshots.json") }

func (r *records) tree(row *row) string {
	return filepath.Join(r.root, "trees", strconv.Itoa(row.Tree))
}

// save is whole or not at all, and on disk when it returns.
func (r *records) save() error {
	text, err := json.Marshal([]any{r.serial, r.rows})
	if err != nil {
		return err
	}
	file, err := os.Create(r.file() + ".new")
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err = file.Write(text); err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(r.file()+".new", r.file())
	}
	return err
}
