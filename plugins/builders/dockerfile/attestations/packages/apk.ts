/** Alpine's: /lib/apk/db/installed, letters for fields (apk-package(5)). */
import { type Catalog, distroQualifier, packageUrl } from './catalog.ts'

export const apk: Catalog = {
  name: 'apk',
  matches: path => /^\/(usr\/)?lib\/apk\/db\/installed$/.test(path),
  async packages(file, distribution) {
    const all = (await file.read()).toString().split('\n\n')
    return all.flatMap(paragraph => {
      const field = (letter: string) => new RegExp(`^${letter}:(.*)$`, 'm').exec(paragraph)?.[1]?.trim() ?? ''
      const [name, version] = [field('P'), field('V')]
      if (name === '') return []
      const qualifiers = { arch: field('A'), distro: distroQualifier(distribution) }
      const purl = packageUrl('apk', [distribution.id || 'alpine', name], version, qualifiers)
      return [{ name, version, purl, license: field('L') }]
    })
  },
}
