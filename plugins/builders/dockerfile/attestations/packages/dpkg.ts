/** Debian's: /var/lib/dpkg/status, and a file per package in status.d where an image has no package manager (distroless). */
import { type Catalog, distroQualifier, packageUrl, paragraphs } from './catalog.ts'

export const dpkg: Catalog = {
  name: 'dpkg',
  matches: path =>
    path === '/var/lib/dpkg/status' || (path.startsWith('/var/lib/dpkg/status.d/') && !path.endsWith('.md5sums')),
  async packages(file, distribution) {
    const all = paragraphs((await file.read()).toString())
    return all.flatMap(fields => {
      const [name = '', version = ''] = [fields.get('package'), fields.get('version')]
      // What was removed keeps its paragraph for as long as its configuration is there.
      if (name === '' || !(fields.get('status') ?? 'installed').endsWith('installed')) return []
      if (/not-installed|half-installed/.test(fields.get('status') ?? '')) return []
      const qualifiers = { arch: fields.get('architecture') ?? '', distro: distroQualifier(distribution) }
      const purl = packageUrl('deb', [distribution.id || 'debian', name], version, qualifiers)
      return [{ name, version, purl, license: '' }]
    })
  },
}
