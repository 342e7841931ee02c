/* SPDX-License-Identifier: Apache-2.0
 *
 * line.h - supervision of the overhead line of a trolleybus or tram, switched on by the parameter line_supervised.
 *
 * Poles off the line and a dead line are daily business: the pack drives on, and nothing is opened. Dangerous are a line
 * above what the converter bears, and poles that stay live off the line, which means that the vehicle feeds them. While
 * the line can take what braking gives back, the pack keeps room for the time when it cannot.
 */
#ifndef LINE_H
#define LINE_H

#include "bms_config.h"

void line_init(void);

/* The payload of a good VCU_Line. */
void line_take(const uint8_t *data);

/* Every 10 ms, after reception: put what protections look at. age_ms: since the last good VCU_Line. */
void line_step(int32_t age_ms);

/* Share of the charge limit that may be used while the line is as it is, in permille. */
int32_t line_charge_permille(int32_t soc_permille);

/* slot: 0..99, position in the second. */
void line_send(uint32_t slot);

#endif
