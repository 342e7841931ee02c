/* SPDX-License-Identifier: Apache-2.0
 *
 * hvess.h - the battery as a high-voltage energy storage system of J1939: cyclic values and status.
 */
#ifndef HVESS_H
#define HVESS_H

#include <stdint.h>

/* Every 10 ms, after can_tx_step: each message once in 100 ms, right after that of the product with the same values.
 * slot: position in the second. */
void hvess_step(uint32_t slot);

#endif
