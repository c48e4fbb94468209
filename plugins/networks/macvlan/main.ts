#!/usr/bin/env node
import { serve } from '#sdk/serve.ts'
import { macvlan } from './macvlan.ts'

await serve(macvlan)
