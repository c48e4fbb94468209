/** Forms of options that several commands share. */
import { Option } from 'commander'

const collect = (value: string, earlier: string[] = []) => [...earlier, value]

/** An option that may be given several times; its value is the list. */
export function many(flags: string, description: string): Option {
  return new Option(flags, description).argParser(collect).default([])
}
