#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { none } from './none.ts'

await serve(none)
