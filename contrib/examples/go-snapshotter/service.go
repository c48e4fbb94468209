package main

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// service has the methods of containerd.services.snapshots.v1.Snapshots, one at a time.
type service struct {
	snapshots.UnimplementedSnapshotsServer
	mutex   sync.Mutex
	records *records
	reflink string
}

func (s *service) get(name string) (*row, error) {
	if row, found := s.records.rows[name]; found {
		return row, nil
	}
	return nil, status.Errorf(codes.NotFound, "snapshot %s does not exist: not found", name)
}

func (s *service) free(name string) error {
	if name == "" {
		return status.Error(codes.InvalidArgument, "a snapshot needs a name: invalid argument")
	}
	if _, taken := s.records.rows[name]; taken {
		return status.Errorf(codes.AlreadyExists, "snapshot %s: already exists", name)
	}
	return nil
}

func (s *service) make(key, parent string, labels map[string]string, kind snapshots.Kind) ([]*types.Mount, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err := s.free(key); err != nil {
		return nil, err
	}
	if parent != "" {
		if above, err := s.get(parent); err != nil {
			return nil, err
		} else if above.Kind != snapshots.Kind_COMMITTED {
			return nil, status.Errorf(codes.InvalidArgument, "parent %s is not committed: invalid argument", parent)
		}
	}
	s.records.serial++
	now := time.Now().UnixNano()
	row := &row{Kind: kind, Parent: parent, Labels: maps.Clone(labels), Tree: s.records.serial, Created: now, Updated: now}
	if err := s.fill(row); err != nil {
		return nil, err
	}
	s.records.rows[key] = row
	return s.mounts(row), s.records.save()
}

func (s *service) fill(row *row) error {
	tree := s.records.tree(row)
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	if row.Parent == "" {
		return os.Chmod(tree, 0o755)
	}
	parent := s.records.tree(s.records.rows[row.Parent])
	said, err := exec.Command("cp", "-a", "--reflink="+s.reflink, parent+"/.", tree).CombinedOutput()
	if err != nil {
		return status.Errorf(codes.Internal, "copy of %s: %v: %s", parent, err, said)
	}
	return nil
}

func (s *service) mounts(row *row) []*types.Mount {
	access := "rw"
	if row.Kind == snapshots.Kind_VIEW {
		access = "ro"
	}
	return []*types.Mount{{Type: "bind", Source: s.records.tree(row), Options: []string{"rbind", access}}}
}

func (s *service) info(name string, row *row) *snapshots.Info {
	stamp := func(ns int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(0, ns)) }
	return &snapshots.Info{Name: name, Parent: row.Parent, Kind: row.Kind, Labels: row.Labels,
		CreatedAt: stamp(row.Created), UpdatedAt: stamp(row.Updated)}
}

func (s *service) Prepare(_ context.Context, r *snapshots.PrepareSnapshotRequest) (*snapshots.PrepareSnapshotResponse, error) {
	mounts, err := s.make(r.Key, r.Parent, r.Labels, snapshots.Kind_ACTIVE)
	return &snapshots.PrepareSnapshotResponse{Mounts: mounts}, err
}

func (s *service) View(_ context.Context, r *snapshots.ViewSnapshotRequest) (*snapshots.ViewSnapshotResponse, error) {
	mounts, err := s.make(r.Key, r.Parent, r.Labels, snapshots.Kind_VIEW)
	return &snapshots.ViewSnapshotResponse{Mounts: mounts}, err
}

func (s *service) Mounts(_ context.Context, r *snapshots.MountsRequest) (*snapshots.MountsResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	row, err := s.get(r.Key)
	if err != nil {
		return nil, err
	}
	if row.Kind == snapshots.Kind_COMMITTED {
		return nil, status.Errorf(codes.FailedPrecondition, "%s is committed: failed precondition", r.Key)
	}
	return &snapshots.MountsResponse{Mounts: s.mounts(row)}, nil
}

func (s *service) Commit(_ context.Context, r *snapshots.CommitSnapshotRequest) (*emptypb.Empty, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err := s.free(r.Name); err != nil {
		return nil, err
	}
	was, err := s.get(r.Key)
	if err != nil {
		return nil, err
	}
	if was.Kind != snapshots.Kind_ACTIVE {
		return nil, status.Errorf(codes.FailedPrecondition, "%s is not active: failed precondition", r.Key)
	}
	if r.Parent != "" && r.Parent != was.Parent {
		return nil, status.Errorf(codes.Unimplemented, "%s has another parent; prepare it on that parent: not implemented", r.Key)
	}
	now := time.Now().UnixNano()
	committed := *was
	committed.Kind, committed.Labels, committed.Created, committed.Updated = snapshots.Kind_COMMITTED, maps.Clone(r.Labels), now, now
	delete(s.records.rows, r.Key)
	s.records.rows[r.Name] = &committed
	return &emptypb.Empty{}, s.records.save()
}

func (s *service) Remove(_ context.Context, r *snapshots.RemoveSnapshotRequest) (*emptypb.Empty, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	row, err := s.get(r.Key)
	if err != nil {
		return nil, err
	}
	for _, other := range s.records.rows {
		if other.Parent == r.Key {
			return nil, status.Errorf(codes.FailedPrecondition, "cannot remove %s with a child: failed precondition", r.Key)
		}
	}
	delete(s.records.rows, r.Key)
	if err := s.records.save(); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, os.RemoveAll(s.records.tree(row))
}

func (s *service) Stat(_ context.Context, r *snapshots.StatSnapshotRequest) (*snapshots.StatSnapshotResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	row, err := s.get(r.Key)
	if err != nil {
		return nil, err
	}
	return &snapshots.StatSnapshotResponse{Info: s.info(r.Key, row)}, nil
}

func (s *service) Update(_ context.Context, r *snapshots.UpdateSnapshotRequest) (*snapshots.UpdateSnapshotResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	row, err := s.get(r.GetInfo().GetName())
	if err != nil {
		return nil, err
	}
	labels := maps.Clone(row.Labels)
	paths := r.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		paths = []string{"labels"}
	}
	for _, path := range paths {
		key, single := strings.CutPrefix(path, "labels.")
		switch {
		case path == "labels":
			labels = maps.Clone(r.Info.Labels)
		case single && labels == nil:
			labels = map[string]string{key: r.Info.Labels[key]}
		case single:
			labels[key] = r.Info.Labels[key]
		default:
			return nil, status.Errorf(codes.InvalidArgument, "cannot change %s of a snapshot: invalid argument", path)
		}
	}
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	row.Labels, row.Updated = labels, time.Now().UnixNano()
	return &snapshots.UpdateSnapshotResponse{Info: s.info(r.Info.Name, row)}, s.records.save()
}

func (s *service) Usage(_ context.Context, r *snapshots.UsageRequest) (*snapshots.UsageResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	row, err := s.get(r.Key)
	if err != nil {
		return nil, err
	}
	size, err := count(s.records.tree(row), "--block-size=1")
	if err != nil {
		return nil, err
	}
	inodes, err := count(s.records.tree(row), "--inodes")
	return &snapshots.UsageResponse{Size: size, Inodes: inodes}, err
}

func count(tree, how string) (int64, error) {
	said, err := exec.Command("du", "-s", how, tree).Output()
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(said), "\t")
	return strconv.ParseInt(first, 10, 64)
}

func (s *service) List(r *snapshots.ListSnapshotsRequest, stream snapshots.Snapshots_ListServer) error {
	wanted, err := readFilters(r.Filters)
	if err != nil {
		return err
	}
	s.mutex.Lock()
	var chosen []*snapshots.Info
	for name, row := range s.records.rows {
		if wanted(name, row) {
			chosen = append(chosen, s.info(name, row))
		}
	}
	s.mutex.Unlock()
	for start := 0; start < len(chosen); start += 100 {
		end := min(start+100, len(chosen))
		if err := stream.Send(&snapshots.ListSnapshotsResponse{Info: chosen[start:end]}); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) Cleanup(context.Context, *snapshots.CleanupRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}
