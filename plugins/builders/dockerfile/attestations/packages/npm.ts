/** npm's: package.json of each package below a node_modules. */
import { type Catalog, packageUrl } from './catalog.ts'

export const npm: Catalog = {
  name: 'npm',
  matches: path => /\/node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path),
  async packages(file) {
    const json = objectOf((await file.read()).toString())
    const { name, version } = json
    if (typeof name !== 'string' || typeof version !== 'string' || name === '') return []
    const license = typeof json.license === 'string' ? json.license : ''
    return [{ name, version, purl: packageUrl('npm', name.split('/'), version), license }]
  },
}

/** Empty for what is none: test fixtures of packages are often broken on purpose. */
function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
