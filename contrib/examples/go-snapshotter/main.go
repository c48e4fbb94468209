// A snapshotter in Go: each snapshot is a directory, a child is a copy of its parent.
//
// What a snapshotter must do is told by the contract in plugins/sdk/snapshotter.ts and judged by `gctr plugins check`.
// serve.go beside this file is the part that every plugin has. It keeps its records as the example in Python does, so
// that each can take over from the other.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
)

func main() {
	err := serve(func(server *grpc.Server, root string, config []byte) error {
		settings := struct {
			Reflink string `json:"reflink"`
		}{Reflink: "auto"}
		if err := json.Unmarshal(config, &settings); err != nil {
			return err
		}
		records, err := openRecords(root)
		if err != nil {
			return err
		}
		snapshots.RegisterSnapshotsServer(server, &service{records: records, reflink: settings.Reflink})
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
