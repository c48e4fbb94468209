#!/usr/bin/python3
"""A snapshotter in Python: each snapshot is a directory, a child is a copy of its parent.

What a snapshotter must do is told by the contract in plugins/sdk/snapshotter.ts and judged by `gctr plugins check`.
plugin.py beside this file is the part that every plugin has. Needs Debian's python3-grpcio and python3-protobuf.
"""
import json
import os
import shutil
import subprocess
import time

import filters
import plugin
from plugin import Refused

VIEW, ACTIVE, COMMITTED = 1, 2, 3


class Snapshots:
    """Snapshots by name: rows in one file, trees in folders named by a number that is never used again.

    A tree is made before its row and removed after it, so a crash leaves trees without rows: the next start sweeps them.
    """

    def __init__(self, root, config):
        self.copy = ['cp', '-a', f'--reflink={config.get("reflink", "auto")}']
        self.trees = os.path.join(root, 'trees')
        self.file = os.path.join(root, 'snapshots.json')
        os.makedirs(self.trees, exist_ok=True)
        self.serial, self.rows = 0, {}
        if os.path.exists(self.file):
            with open(self.file) as saved:
                self.serial, self.rows = json.load(saved)
        kept = {str(row['tree']) for row in self.rows.values()}
        for name in set(os.listdir(self.trees)) - kept:
            shutil.rmtree(os.path.join(self.trees, name))

    def save(self):
        """Whole or not at all, and on disk when it returns."""
        with open(self.file + '.new', 'w') as new:
            json.dump([self.serial, self.rows], new)
            new.flush()
            os.fsync(new.fileno())
        os.rename(self.file + '.new', self.file)

    def get(self, name):
        if name not in self.rows:
            raise Refused('NOT_FOUND', f'snapshot {name} does not exist: not found')
        return self.rows[name]

    def free(self, name):
        if name == '':
            raise Refused('INVALID_ARGUMENT', 'a snapshot needs a name: invalid argument')
        if name in self.rows:
            raise Refused('ALREADY_EXISTS', f'snapshot {name}: already exists')

    def path(self, row):
        return os.path.join(self.trees, str(row['tree']))

    def make(self, key, parent, labels, kind):
        self.free(key)
        if parent and self.get(parent)['kind'] != COMMITTED:
            raise Refused('INVALID_ARGUMENT', f'parent {parent} is not committed: invalid argument')
        self.serial += 1
        now = time.time_ns()
        row = dict(kind=kind, parent=parent, labels=dict(labels), tree=self.serial, created=now, updated=now)
        os.mkdir(self.path(row))
        os.chmod(self.path(row), 0o755)
        if parent:
            subprocess.run([*self.copy, self.path(self.rows[parent]) + '/.', self.path(row)], check=True)
        self.rows[key] = row
        self.save()
        return self.mounts(row)

    def mounts(self, row):
        options = ['rbind', 'ro' if row['kind'] == VIEW else 'rw']
        return dict(mounts=[dict(type='bind', source=self.path(row), options=options)])

    def info(self, name):
        row = self.get(name)
        stamp = lambda ns: dict(seconds=ns // 10**9, nanos=ns % 10**9)
        return dict(name=name, parent=row['parent'], kind=row['kind'], labels=row['labels'],
                    created_at=stamp(row['created']), updated_at=stamp(row['updated']))

    # The methods of containerd.services.snapshots.v1.Snapshots: a request in, the answer's fields out.

    def Prepare(self, request):
        return self.make(request.key, request.parent, request.labels, ACTIVE)

    def View(self, request):
        return self.make(request.key, request.parent, request.labels, VIEW)

    def Mounts(self, request):
        row = self.get(request.key)
        if row['kind'] == COMMITTED:
            raise Refused('FAILED_PRECONDITION', f'{request.key} is committed: failed precondition')
        return self.mounts(row)

    def Commit(self, request):
        self.free(request.name)
        row = self.get(request.key)
        if row['kind'] != ACTIVE:
            raise Refused('FAILED_PRECONDITION', f'{request.key} is not active: failed precondition')
        if request.parent and request.parent != row['parent']:
            raise Refused('UNIMPLEMENTED', f'{request.key} has another parent; prepare it on that parent: not implemented')
        del self.rows[request.key]
        now = time.time_ns()
        self.rows[request.name] = dict(row, kind=COMMITTED, labels=dict(request.labels), created=now, updated=now)
        self.save()
        return {}

    def Remove(self, request):
        row = self.get(request.key)
        if any(other['parent'] == request.key for other in self.rows.values()):
            raise Refused('FAILED_PRECONDITION', f'cannot remove {request.key} with a child: failed precondition')
        del self.rows[request.key]
        self.save()
        shutil.rmtree(self.path(row))
        return {}

    def Stat(self, request):
        return dict(info=self.info(request.key))

    def Update(self, request):
        row = self.get(request.info.name)
        labels = dict(row['labels'])
        for path in request.update_mask.paths or ['labels']:
            if path == 'labels':
                labels = dict(request.info.labels)
            elif path.startswith('labels.'):
                key = path[len('labels.'):]
                labels[key] = request.info.labels.get(key, '')
            else:
                raise Refused('INVALID_ARGUMENT', f'cannot change {path} of a snapshot: invalid argument')
        row.update(labels={key: value for key, value in labels.items() if value}, updated=time.time_ns())
        self.save()
        return dict(info=self.info(request.info.name))

    def Usage(self, request):
        tree = self.path(self.get(request.key))
        count = lambda *how: int(subprocess.run(['du', '-s', *how, tree], capture_output=True, check=True).stdout.split()[0])
        return dict(size=count('--block-size=1'), inodes=count('--inodes'))

    def List(self, request):
        wanted = filters.reader(request.filters)
        chosen = [info for info in map(self.info, self.rows) if wanted(info)]
        for start in range(0, len(chosen), 100):
            yield dict(info=chosen[start:start + 100])

    def Cleanup(self, request):
        return {}


if __name__ == '__main__':
    plugin.serve(Snapshots, service='containerd.services.snapshots.v1.Snapshots')
