/** A mount as data: containerd's `types.Mount`. `options` mixes flags (`ro`, `rbind`) and file system data (`lowerdir=…`). */
export interface Mount {
  type: string
  source: string
  /** Where below the target root it goes; empty or absent: the target root itself. */
  target?: string
  options: string[]
}

export interface UnmountOptions {
  /** Take it out of the tree now and finish when the last user is gone (MNT_DETACH). */
  detach?: boolean
  /** Everything mounted below `path` goes first, deepest first. */
  recursive?: boolean
}

export interface NetlinkOptions {
  /** Path of a network namespace (a pin file or `/proc/PID/ns/net`) to open the socket in; default: our own. */
  netns?: string
  /** Ask the kernel to check dump headers and filter by them (NETLINK_GET_STRICT_CHK). */
  strict?: boolean
  /** Longest wait for one answer, default 10 000. Past it: ETIMEDOUT. */
  timeoutMs?: number
}

/** Of legacy iptables: what `iptables -F` and most other changes of a table alter. */
export interface IptablesTable {
  /** Rules, and ends of chains. */
  entries: number
  sizeBytes: number
}

/** Bounds on one archive. Crossing one fails with code `ELIMIT_ARCHIVE`, naming the limit and the entry. */
export interface LayerLimits {
  /** Entries in the archive; default 4 000 000. */
  maxEntries?: number
  /** Bytes of one path; default 4096. */
  maxPathBytes?: number
  /** Bytes of one extended attribute's value; default 65 536. */
  maxXattrBytes?: number
  /** Uncompressed bytes of the whole archive; default 1 TiB. */
  maxTotalBytes?: number
}

export interface ApplyLayerRequest {
  /** Path of the file with the layer. */
  source: string
  /** Bytes of `source` to skip; default 0. */
  offset?: number
  /** Bytes of `source` to read from `offset`; default: up to its end. */
  length?: number
  /** Default `auto`: told by the first bytes. */
  compression?: 'auto' | 'none' | 'gzip' | 'zstd'
  /** An existing directory: the root for `plain`, the upper directory for `overlay`. */
  target: string
  /** `plain` carries whiteouts out; `overlay` writes them in overlayfs' form. */
  format: 'plain' | 'overlay'
  /** With `overlay`: mark with `user.overlay.*` (mount option `userxattr`) instead of `trusted.overlay.*`. */
  userxattr?: boolean
  /** With `overlay`: the directories below the target, topmost first, as in `lowerdir=`. */
  lowers?: string[]
  /** One syncfs(2) of the target's file system at the end; default false. */
  sync?: boolean
  limits?: LayerLimits
}

export interface ApplyLayerResult {
  /** `sha256:` and 64 hex digits, of the uncompressed stream. */
  diffId: string
  uncompressedBytes: number
  /** Archive entries, metadata records (PAX, GNU long names) not counted. */
  entries: number
  /** Extended attributes the target's file system cannot hold (ENOTSUP), left out. */
  skippedXattrs: number
}

export interface CreateLayerRequest {
  /** What the layer describes: an overlay upper directory, or the changed directory of a diff. */
  upper: string
  /** `overlay`: `upper` is an overlay upper directory. `diff`: `upper` is a whole tree, compared with `lower`. */
  mode: 'overlay' | 'diff'
  /** With `diff`: the tree before; absent: an empty one. */
  lower?: string
  /** With `overlay`: the directories below `upper`, topmost first. What `upper` takes from them under another name is resolved. */
  lowers?: string[]
  userxattr?: boolean
  /** The archive is written here (created, must not exist). */
  output: string
  compression: 'none' | 'gzip' | 'zstd'
  /** Seconds since the epoch: no entry is younger (`SOURCE_DATE_EPOCH`). */
  latestSeconds?: number
}

export interface CreateLayerResult {
  /** Of the uncompressed archive. */
  diffId: string
  /** Of the bytes in `output`. */
  digest: string
  sizeBytes: number
  uncompressedBytes: number
  entries: number
}

export interface Usage {
  /** Allocated bytes (st_blocks × 512). */
  bytes: number
  inodes: number
}

export interface CopyResult {
  inodes: number
  /** Bytes really copied: not those of cloned files, nor holes. */
  bytes: number
  /** Files that share their extents with the original. */
  clonedFiles: number
  /** Extended attributes the target's file system cannot hold (ENOTSUP), left out. */
  skippedXattrs: number
}

export interface SubvolumeInfo {
  /** As in the mount option `subvolid=`. */
  id: number
  readOnly: boolean
  /** Transaction of the last change. */
  generation: number
  /** Transaction in which it was made. */
  createdGeneration: number
}

export interface SubvolumeUsage extends Usage {
  /** `bytes` comes from the quota group. */
  byQuota: boolean
}

export interface SpawnRequest {
  /** `argv[0]` is the program's path (absolute: PATH is not searched). */
  argv: string[]
  /** The whole environment; nothing is inherited. */
  env: Record<string, string>
  cwd: string
  /** Written to the program's standard input, which is then closed; absent: /dev/null. */
  stdin?: Uint8Array
  /** Collected bytes of stdout, and of stderr, at most this many each (default 1 MiB): past it, `EMSGSIZE`. */
  maxOutputBytes?: number
  /** Past it the process group is killed and the call fails with ETIMEDOUT; default 30 000. */
  timeoutMs?: number
}

/** A program that goes on, with our ends of the pipes that are its standard input and output: the owner closes them. */
export interface PipedProcess {
  pid: number
  stdin: number
  stdout: number
}

export interface SpawnResult {
  pid: number
  /** Exit code; 128 + signal number when a signal ended it. */
  code: number
  /** Signal number, 0 when it exited. */
  signal: number
  stdout: Buffer
  stderr: Buffer
}

export interface PeerCredentials {
  pid: number
  uid: number
  gid: number
}
