/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A word to who waits: while something is asked that may take long, stderr says after two seconds what is
 * waited for, once in a program. Waiting itself, and giving up, is the business of whoever asks.
 */

/* What is waited for: "the store at etcd:...". max_ms: how long at most. Copied; for all waits from now on. */
void patience_about(const char *what, unsigned int max_ms);

/* Around each wait. */
void patience_begin(void);
void patience_end(void);
