/* SPDX-License-Identifier: Apache-2.0
 *
 * j1939_dm.h - diagnostic messages: active (DM1) and previously active (DM2) trouble codes, and their clearing.
 */
#ifndef J1939_DM_H
#define J1939_DM_H

#include "bms_config.h"

#define PGN_DM1 0xFECAU
#define PGN_DM2 0xFECBU
#define PGN_DM3 0xFECCU  /* clear the previously active codes */
#define PGN_DM11 0xFED3U /* clear all codes */

void dm_init(void);

/* Every 10 ms, on line: DM1 once a second, and at once when a code comes or goes, but not twice a second for that. */
void dm_step(uint32_t now_ms);

/* The cycle goes on as if no time had passed. */
void dm_pass(uint32_t ms);

/* Off line: begin with DM1 when back. */
void dm_silence(void);

/* Answer a request. Returns false when it is none of this module. */
bool dm_request(uint32_t pgn, uint8_t requester);

#endif
