/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What makes a document that agents write another one than all that were written before: so a writer whose
 * answer was lost knows his own again.
 */
#define NONCE_TEXT 33

void nonce_make(char out[NONCE_TEXT]);
