/** Names of images as people write them. */
import { invalidArgument } from '#api/errors/errors.ts'

/** OCI distribution spec, "Pulling manifests": name, tag and digest. */
const wellFormed =
  /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@[a-z0-9+._-]+:[0-9a-f]{32,})?$/

/** `busybox` → `docker.io/library/busybox:latest`: the names images are stored under. INVALID_ARGUMENT names the text. */
export function imageReference(text: string): string {
  const [first = '', ...rest] = text.split('/')
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')
  const path = hasHost ? rest.join('/') : text
  if (!wellFormed.test(path) || (hasHost && !/^(?:[\w.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?$/.test(first)))
    throw invalidArgument(`"${text}" is no image name; write one as in registry.example/name:tag, in lower case`)
  const host = hasHost ? `${first}/` : rest.length > 0 ? 'docker.io/' : 'docker.io/library/'
  return `${host}${path}${/[:@]/.test(path) ? '' : ':latest'}`
}
