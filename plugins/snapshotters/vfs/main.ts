#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { native, vfs } from './vfs.ts'

await serve(process.env.GANTRY_PLUGIN_ID === native.id ? native : vfs)
