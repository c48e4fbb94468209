/** A self-signed certificate for 127.0.0.1, by openssl. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export interface Certificate {
  readonly certificate: string
  readonly key: string
}

/** Writes `cert.pem` and `key.pem` into `folder`. */
export function makeCertificate(folder: string): Certificate {
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const subject = ['-subj', '/CN=gantry test', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-days', '2']
  const files = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate]
  execFileSync('openssl', ['req', '-x509', ...files, ...subject], { stdio: 'ignore' })
  return { certificate, key }
}
