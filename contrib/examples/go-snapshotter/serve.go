// What every Gantry plugin does, in Go: the environment, the root's lock, health, who it is, a clean end.

package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The contracts, for the one service that no Go module has.
//
//go:embed contract.binpb
var contracts []byte

// drain is how long calls under way may take when the plugin is told to stop.
const drain = 5 * time.Second

// serve calls register when the root is its own, and serves until SIGTERM, SIGINT or the end of gantryd.
func serve(register func(server *grpc.Server, root string, config []byte) error) error {
	address, root := os.Getenv("GANTRY_PLUGIN_ADDRESS"), os.Getenv("GANTRY_PLUGIN_ROOT")
	if address == "" || root == "" {
		return fmt.Errorf("GANTRY_PLUGIN_ADDRESS and GANTRY_PLUGIN_ROOT must be set: gantryd starts this program")
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	held, err := lock(filepath.Join(root, ".lock"))
	if err != nil {
		return err
	}
	defer held.Close()
	server := grpc.NewServer()
	config := os.Getenv("GANTRY_PLUGIN_CONFIG")
	if config == "" {
		config = "{}"
	}
	if !json.Valid([]byte(config)) {
		return fmt.Errorf("GANTRY_PLUGIN_CONFIG is not JSON: %q", config)
	}
	if err := register(server, root, []byte(config)); err != nil {
		return err
	}
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	if err := registerIdentity(server, root); err != nil {
		return err
	}
	_ = os.Remove(address)
	old := syscall.Umask(0o077)
	listener, err := net.Listen("unix", address)
	syscall.Umask(old)
	if err != nil {
		return err
	}
	go func() {
		waitForEnd()
		time.AfterFunc(drain, server.Stop)
		server.GracefulStop()
	}()
	fmt.Fprintln(os.Stderr, "serving at", address)
	return server.Serve(listener)
}

// lock waits for a process of a gantryd that was killed to let go of the root.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(8 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return file, nil
		}
		if time.Now().After(deadline) {
			file.Close()
			return nil, fmt.Errorf("%s is held by another process: %w", path, err)
		}
	}
}

func waitForEnd() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	if os.Getenv("GANTRY_PLUGIN_WATCH_STDIN") == "1" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			ended <- syscall.SIGTERM
		}()
	}
	<-ended
}

// registerIdentity answers gantry.plugin.v1.PluginService/GetInfo with what plugin.toml beside the program says.
func registerIdentity(server *grpc.Server, root string) error {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(contracts, &set); err != nil {
		return err
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return err
	}
	found, err := files.FindDescriptorByName("gantry.plugin.v1.GetInfoResponse")
	if err != nil {
		return err
	}
	manifest, err := readManifest()
	if err != nil {
		return err
	}
	info := dynamicpb.NewMessage(found.(protoreflect.MessageDescriptor))
	fields := info.Descriptor().Fields()
	for _, key := range []protoreflect.Name{"id", "kind", "version"} {
		info.Set(fields.ByName(key), protoreflect.ValueOfString(manifest[string(key)]))
	}
	words := info.Mutable(fields.ByName("capabilities")).List()
	for _, word := range strings.FieldsFunc(manifest["capabilities"], func(r rune) bool { return strings.ContainsRune(`", `, r) }) {
		words.Append(protoreflect.ValueOfString(word))
	}
	exports := info.Mutable(fields.ByName("exports")).Map()
	exports.Set(protoreflect.ValueOfString("root").MapKey(), protoreflect.ValueOfString(root))
	answer := func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		return info, decode(&emptypb.Empty{})
	}
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "gantry.plugin.v1.PluginService",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "GetInfo", Handler: answer}},
	}, nil)
	return nil
}

// readManifest has the plain lines of plugin.toml, without quotes and brackets.
func readManifest() (map[string]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(filepath.Dir(self), "plugin.toml"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	manifest := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan() && !strings.HasPrefix(lines.Text(), "["); {
		if key, value, found := strings.Cut(lines.Text(), "="); found {
			manifest[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"[]`)
		}
	}
	return manifest, nil
}
