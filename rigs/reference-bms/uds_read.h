/* SPDX-License-Identifier: Apache-2.0
 *
 * uds_read.h - what the diagnostics can read: identifiers and trouble codes.
 */
#ifndef UDS_READ_H
#define UDS_READ_H

#include "bms_config.h"

#define UDS_IDENTIFIER_MAX 16U /* bytes of one value */

/* Value of a data identifier, greatest byte first, `session` being active. Returns its length, 0 = no such. */
uint32_t uds_read_identifier(uint32_t identifier, uint8_t session, uint8_t *value);

/* Number of codes with a bit of the mask in their status. */
uint32_t uds_count_codes(uint8_t mask);

/* The same codes, four bytes each: number, status. all: every code there is. Returns the bytes written. */
uint32_t uds_list_codes(uint8_t mask, bool all, uint8_t *list);

#endif
