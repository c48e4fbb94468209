#!/usr/bin/python3
"""A snapshotter that shares nothing with us but the protocol: Python, Debian's grpcio, whole copies for layers.

    snapshotter.py SOCKET ROOT DESCRIPTORS READY LOG

DESCRIPTORS is what `buf build` makes of api/proto. READY is a JSON object: chainID to the folder with that layer's
tree; for those it is a remote snapshotter, which answers Prepare with ALREADY_EXISTS. LOG gets a JSON line per call.
"""
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = 'containerd.services.snapshots.v1.Snapshots'
REF = 'containerd.io/snapshot.ref'
VIEW, ACTIVE, COMMITTED = 1, 2, 3


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Store:
    """Snapshots by key, in memory; their trees in folders of ROOT."""

    def __init__(self, root, ready):
        self.root, self.ready = root, ready
        self.rows, self.serial = {}, 0

    def get(self, key):
        if key not in self.rows:
            raise Refused(grpc.StatusCode.NOT_FOUND, f'snapshot {key} does not exist: not found')
        return self.rows[key]

    def free(self, key):
        if key in self.rows:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f'snapshot {key}: already exists')

    def make(self, key, parent, labels, kind, source=None):
        self.free(key)
        if parent and self.get(parent)['kind'] != COMMITTED:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f'parent {parent} is not committed: invalid argument')
        self.serial += 1
        tree = os.path.join(self.root, str(self.serial))
        os.mkdir(tree, 0o755)
        for origin in [self.rows[parent]['tree']] if parent else []:
            subprocess.run(['cp', '-a', origin + '/.', tree], check=True)
        if source:
            subprocess.run(['cp', '-a', source + '/.', tree], check=True)
        now = time.time()
        self.rows[key] = dict(kind=kind, parent=parent, labels=dict(labels), tree=tree, created=now, updated=now)
        return self.rows[key]

    def prepare(self, key, parent, labels):
        target = labels.get(REF)
        if target in self.ready:
            if target not in self.rows:
                self.make(target, parent, labels, COMMITTED, self.ready[target])
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f'target snapshot "{target}": already exists')
        return self.make(key, parent, labels, ACTIVE)

    def commit(self, name, key, labels):
        self.free(name)
        row = self.get(key)
        if row['kind'] != ACTIVE:
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f'{key} is not active: failed precondition')
        del self.rows[key]
        row.update(kind=COMMITTED, labels=dict(labels), updated=time.time())
        self.rows[name] = row

    def remove(self, key):
        row = self.get(key)
        if any(other['parent'] == key for other in self.rows.values()):
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f'cannot remove {key} with a child: failed precondition')
        del self.rows[key]
        shutil.rmtree(row['tree'])


class Servicer:
    def __init__(self, messages, store, log):
        self.message, self.store, self.log = messages, store, log
        self.lock = threading.Lock()

    def mounts(self, row):
        options = ['rbind', 'ro' if row['kind'] == VIEW else 'rw']
        return [dict(type='bind', source=row['tree'], options=options)]

    def info(self, name):
        row = self.store.get(name)
        stamp = lambda at: dict(seconds=int(at), nanos=int(at % 1 * 1e9))
        return dict(name=name, parent=row['parent'], kind=row['kind'], labels=row['labels'],
                    created_at=stamp(row['created']), updated_at=stamp(row['updated']))

    def Prepare(self, r):
        return dict(mounts=self.mounts(self.store.prepare(r.key, r.parent, r.labels)))

    def View(self, r):
        return dict(mounts=self.mounts(self.store.make(r.key, r.parent, r.labels, VIEW)))

    def Mounts(self, r):
        row = self.store.get(r.key)
        if row['kind'] == COMMITTED:
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, f'{r.key} is committed: failed precondition')
        return dict(mounts=self.mounts(row))

    def Commit(self, r):
        self.store.commit(r.name, r.key, r.labels)
        return {}

    def Remove(self, r):
        self.store.remove(r.key)
        return {}

    def Stat(self, r):
        return dict(info=self.info(r.key))

    def Update(self, r):
        row = self.store.get(r.info.name)
        row.update(labels=dict(r.info.labels), updated=time.time())
        return dict(info=self.info(r.info.name))

    def Usage(self, r):
        words = subprocess.run(['du', '-sB1', '--inodes', self.store.get(r.key)['tree']], capture_output=True, check=True)
        return dict(size=0, inodes=int(words.stdout.split()[0]))

    def List(self, r):
        # Filters are an invitation, and a stranger may decline: everything comes.
        yield dict(info=[self.info(name) for name in self.store.rows])

    def Cleanup(self, r):
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, 'nothing to clean up: not implemented')

    def handler(self, method):
        verb = getattr(self, method.name)
        request, answer = self.message(method.input_type.full_name), self.message(method.output_type.full_name)

        def guarded(body, r, context):
            with self.lock:
                print(json.dumps(dict(method=method.name, key=getattr(r, 'key', ''),
                                      labels=dict(getattr(r, 'labels', {})))), file=self.log, flush=True)
                try:
                    return body(r)
                except Refused as refused:
                    context.abort(refused.code, str(refused))

        fill = lambda value: answer(**value)
        if method.name == 'List':
            stream = lambda r, context: iter(guarded(lambda r: [fill(item) for item in verb(r)], r, context))
            return grpc.unary_stream_rpc_method_handler(stream, request.FromString, answer.SerializeToString)
        unary = lambda r, context: guarded(lambda r: fill(verb(r)), r, context)
        return grpc.unary_unary_rpc_method_handler(unary, request.FromString, answer.SerializeToString)


def main():
    address, root, descriptors, ready, log = sys.argv[1:]
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet()
    with open(descriptors, 'rb') as binary:
        files.ParseFromString(binary.read())
    for file in files.file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    messages = lambda name: factory.GetPrototype(pool.FindMessageTypeByName(name))
    os.makedirs(root, exist_ok=True)
    with open(ready) as table:
        store = Store(root, json.load(table))
    servicer = Servicer(messages, store, open(log, 'a'))
    methods = {method.name: servicer.handler(method) for method in pool.FindServiceByName(SERVICE).methods}
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    server.add_insecure_port('unix:' + address)
    server.start()
    server.wait_for_termination()


main()
