/* SPDX-License-Identifier: Apache-2.0
 *
 * parallel.h - one of several strings in parallel, each with a controller like this one (string_count 0: it is alone).
 *
 * String n sends and is told with every identifier moved by (n - 1) * string_id_offset, and listens to state and current
 * of the others. It joins a link that others hold only at their voltage, one string at a time, and leaves when its
 * current is too far from that of the others: then charge goes round between them.
 */
#ifndef PARALLEL_H
#define PARALLEL_H

#include "bms_config.h"

void strings_init(void);

/* Any frame from the bus, by its identifier there. */
void strings_hear(uint32_t id, uint32_t length, const uint8_t *data);

/* Identifiers of this string's messages: as in the database, and as on the bus. What is not its own stays as it is not
 * in the database either. */
uint32_t strings_local_id(uint32_t bus_id);
uint32_t strings_bus_id(uint32_t id);

/* Every 10 ms, when everything has been measured: quantities for the protections. asked = drive or charge is wanted. */
void strings_step(bool asked);

/* Whether the contactors may begin to close now. */
bool strings_may_join(void);

/* Whether the string has to leave because of the others: never. What is wrong with one is no reason for another. */
bool strings_leave(void);

/* Whether the last one may close onto the link as it is. */
bool strings_equal(void);

#endif
