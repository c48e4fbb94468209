#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { vfs } from './vfs.ts'

await serve(vfs)
