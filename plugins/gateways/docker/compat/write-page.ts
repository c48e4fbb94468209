import { writeFileSync } from 'node:fs'
import { compatPage, pagePath } from './page.ts'

writeFileSync(pagePath, compatPage())
