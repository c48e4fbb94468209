#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { btrfs } from './btrfs.ts'

await serve(btrfs)
