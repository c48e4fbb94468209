#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { overlayfs } from './overlayfs.ts'

await serve(overlayfs)
