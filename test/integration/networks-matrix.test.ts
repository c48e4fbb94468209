import { fileURLToPath } from 'node:url'
import { inPrivateHost } from '#sdk/network-private.ts'
import { matrixSuite } from './networks-matrix-suite.ts'

if (inPrivateHost(fileURLToPath(import.meta.url))) matrixSuite()
