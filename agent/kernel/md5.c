/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/net/netstat has pairs of lines, "TcpExt: NAME NAME ..." and "TcpExt: NUMBER NUMBER ...". The
 * counters are SNMP ones of net/ipv4/proc.c; which there are depends on the kernel's version.
 */
#include "agent/kernel/md5.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/file.h"
#include "lib/mem.h"
#include "lib/text.h"

#define NETSTAT "/proc/thread-self/net/netstat"
#define NETSTAT_MAX 65536

static const char *next_word(const char **at, size_t *len)
{
	*at += strspn(*at, " ");
	const char *word = *at;
	*len = strcspn(word, " \n");
	*at += *len;
	return word;
}

static uint64_t sum_of(const char *names, const char *numbers)
{
	static const char *const wanted[] = {"TCPMD5NotFound", "TCPMD5Unexpected", "TCPMD5Failure"};
	uint64_t sum = 0;
	for (;;) {
		size_t name_len, number_len;
		char name[32];
		const char *word = next_word(&names, &name_len);
		const char *number = next_word(&numbers, &number_len);
		if (!name_len || !number_len)
			return sum;
		struct text t = TEXT_ON(name);
		text_add_bytes(&t, word, name_len);
		if (!t.cut && TEXT_INDEX(name, wanted) >= 0)
			sum += strtoull(number, NULL, 10);
	}
}

uint64_t md5_count(const char *netstat)
{
	static const char head[] = "TcpExt:";
	for (const char *at = netstat; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, head, sizeof(head) - 1) != 0)
			continue;
		const char *numbers = strchr(at, '\n');
		if (!numbers || strncmp(numbers + 1, head, sizeof(head) - 1) != 0)
			return 0;
		return sum_of(at + sizeof(head) - 1, numbers + sizeof(head));
	}
	return 0;
}

uint64_t md5_read_count(void)
{
	CLEANUP_FREE char *text = NULL;
	size_t len;
	struct err ignored; /* it only says less then */
	CLEANUP_FD int fd = open(NETSTAT, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || file_read_fd(fd, NETSTAT_MAX, &text, &len, &ignored) < 0)
		return 0;
	return md5_count(text);
}
