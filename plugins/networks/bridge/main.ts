#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { bridge } from './bridge.ts'

await serve(bridge)
