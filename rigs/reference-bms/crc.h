/* SPDX-License-Identifier: Apache-2.0
 *
 * crc.h - CRC-8 of the CAN messages (SAE J1850: polynomial 0x1D) and CRC-32 of the non-volatile image (IEEE 802.3).
 */
#ifndef CRC_H
#define CRC_H

#include "bms_config.h"

#define CRC32_INITIAL 0xFFFFFFFFU

/* CRC-8 over data_id and then length bytes, start value and final XOR 0xFF. */
uint8_t crc8_message(uint8_t data_id, const uint8_t *bytes, uint32_t length);

/* Feed one byte, or one word with its least byte first. The final XOR is the caller's. */
uint32_t crc32_byte(uint32_t crc, uint8_t byte);
uint32_t crc32_word(uint32_t crc, uint32_t word);

#endif
