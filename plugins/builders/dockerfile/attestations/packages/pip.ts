/** Python's: METADATA of a .dist-info, PKG-INFO of an .egg-info (Python packaging: core metadata). */
import { type Catalog, packageUrl, paragraphs } from './catalog.ts'

export const pip: Catalog = {
  name: 'pip',
  matches: path => /\.dist-info\/METADATA$|\.egg-info\/PKG-INFO$|\.egg-info$/.test(path),
  async packages(file) {
    const [fields] = paragraphs((await file.read()).toString())
    const [name = '', version = ''] = [fields?.get('name'), fields?.get('version')]
    if (name === '' || version === '') return []
    const license = fields?.get('license-expression') ?? fields?.get('license') ?? ''
    // The index knows one name for `Foo.Bar`, `foo_bar` and `foo-bar` (PEP 503).
    const purl = packageUrl('pypi', [name.toLowerCase().replaceAll(/[-_.]+/g, '-')], version)
    return [{ name, version, purl, license }]
  },
}
