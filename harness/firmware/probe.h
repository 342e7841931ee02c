/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.h - the calls that only a build with mutants has besides those of fil.h. Generated into it by schemata.py.
 */
#ifndef BH_PROBE_H
#define BH_PROBE_H

/* Where to note from now on what is executed: one byte a mutant, from 1; NULL = nowhere. Returns the bytes needed, or
 * 0 in a build that notes nothing. */
unsigned bh_probe(unsigned char *seen);

#endif
