/** Which registry an address means: Docker Hub has many names, and credentials are kept under any of them. */

const dockerHub = /^(?:(?:index|registry-1|registry)\.)?docker\.io$/

/** `https://index.docker.io/v1/` is `docker.io`, `http://registry.example:5000/x` is `registry.example:5000`. */
export function registryDomain(address: string): string {
  const host = address.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return dockerHub.test(host) ? 'docker.io' : host
}
