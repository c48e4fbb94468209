/** What a contestant of the networks' benchmark can do. Times are milliseconds from the call to its answer. */
export interface Served {
  /** Where a client asks. */
  readonly host: string
  readonly port: number
  /** The client's network namespace, for nsenter(1). */
  readonly netns: string
}

export interface Side {
  readonly name: string
  /** A web server in a container, published. */
  serve(): Promise<Served>
  /** As many published ports of other containers, beside those that are there, exist when it answers. */
  otherPorts(count: number): Promise<void>
  /** A running container joins a network and leaves it. */
  endpoint(): Promise<{ addMs: number; delMs: number }>
  /** A network is created and removed. */
  network(): Promise<{ createMs: number; removeMs: number }>
}
