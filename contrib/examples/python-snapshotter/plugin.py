"""What every Gantry plugin does, in Python: the environment, the root's lock, health, who it is, a clean end.

    plugin.serve(Snapshots, service='containerd.services.snapshots.v1.Snapshots')

makes `Snapshots(root, config)` when the root is free, and calls its methods, named as the service's, one at a time: a
request comes in as a message, the answer goes out as a dict (a generator of them where the service streams).
`contract.binpb` beside this file holds the contracts (buf build, or protoc --descriptor_set_out --include_imports).
"""
import concurrent.futures
import fcntl
import json
import os
import signal
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

HERE = os.path.dirname(os.path.realpath(__file__))
SERVING, NOT_SERVING = 1, 2


class Refused(Exception):
    """A status for the caller: a code of gRPC by its name, and what was wrong, with the value."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = grpc.StatusCode[code]


def read_contracts():
    pool, files = descriptor_pool.DescriptorPool(), descriptor_pb2.FileDescriptorSet()
    with open(os.path.join(HERE, 'contract.binpb'), 'rb') as image:
        files.ParseFromString(image.read())
    for file in files.file:
        pool.Add(file)
    return pool


POOL = read_contracts()
FACTORY = message_factory.MessageFactory(POOL)


def handlers(service, author, lock):
    """The generic handler of one service: every method of the contract that the author has."""
    def one(method):
        request, answer = FACTORY.GetPrototype(method.input_type), FACTORY.GetPrototype(method.output_type)
        verb = getattr(author(), method.name, None)

        def call(message, context):
            try:
                with lock:
                    if verb is None:
                        raise Refused('UNIMPLEMENTED', f'{method.name}: not implemented')
                    result = verb(message)
                    return [answer(**item) for item in result] if method.name == 'List' else answer(**result)
            except Refused as refused:
                context.abort(refused.code, str(refused))

        if method.name == 'List':
            stream = lambda message, context: iter(call(message, context))
            return grpc.unary_stream_rpc_method_handler(stream, request.FromString, answer.SerializeToString)
        return grpc.unary_unary_rpc_method_handler(call, request.FromString, answer.SerializeToString)

    methods = POOL.FindServiceByName(service).methods
    streams = {'Watch'}
    return grpc.method_handlers_generic_handler(service, {m.name: one(m) for m in methods if m.name not in streams})


class Health:
    status = NOT_SERVING

    def Check(self, request):
        return dict(status=self.status)


class Identity:
    def __init__(self, manifest):
        self.manifest = manifest

    def GetInfo(self, request):
        return dict(self.manifest, exports=dict(root=os.environ['GANTRY_PLUGIN_ROOT']))


def read_manifest():
    """Of plugin.toml the lines that GetInfo answers; Python 3.11's own reader."""
    import tomllib
    with open(os.path.join(HERE, 'plugin.toml'), 'rb') as text:
        manifest = tomllib.load(text)
    return {key: manifest[key] for key in ('id', 'kind', 'version', 'capabilities')}


def serve(make, service):
    address, root = os.environ['GANTRY_PLUGIN_ADDRESS'], os.environ['GANTRY_PLUGIN_ROOT']
    config = json.loads(os.environ.get('GANTRY_PLUGIN_CONFIG', '{}'))
    lock, health, made = threading.Lock(), Health(), {}
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((
        handlers('grpc.health.v1.Health', lambda: health, threading.Lock()),
        handlers('gantry.plugin.v1.PluginService', lambda: Identity(read_manifest()), threading.Lock()),
    ))
    os.makedirs(root, exist_ok=True)
    if os.path.exists(address):
        os.unlink(address)
    os.umask(0o077)
    server.add_insecure_port('unix:' + address)
    server.start()
    os.umask(0o022)

    # From here on it answers health checks; another process of it may still hold the root.
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if os.environ.get('GANTRY_PLUGIN_WATCH_STDIN') == '1':
        threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    held = open(os.path.join(root, '.lock'), 'a')
    while not ended.is_set():
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            ended.wait(0.02)
    if not ended.is_set():
        made['plugin'] = make(root, config)
        server.add_generic_rpc_handlers((handlers(service, lambda: made['plugin'], lock),))
        health.status = SERVING
        print(f'serving at {address}', file=sys.stderr, flush=True)
        ended.wait()
    health.status = NOT_SERVING
    server.stop(5).wait()
