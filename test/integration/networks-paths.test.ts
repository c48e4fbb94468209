import { fileURLToPath } from 'node:url'
import { inPrivateHost } from '#sdk/network-private.ts'
import { pathsSuite } from './networks-paths-suite.ts'

if (inPrivateHost(fileURLToPath(import.meta.url))) pathsSuite()
