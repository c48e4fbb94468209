/**
 * A mount as data: components emit and consume it, `api/sys` and the shim perform it.
 * Fields as in containerd.types.Mount; `target` is relative to where the stack is mounted, empty for the root itself.
 */
export interface Mount {
  type: string
  source: string
  target: string
  options: string[]
}
