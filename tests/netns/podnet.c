/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets are made byte by byte and sent raw, from pods through their link (AF_PACKET), from the host through its
 * routes; so any protocol can be, whether this kernel has it or not. The number stands where each protocol has
 * room for eight bytes of anybody's: in SCTP's INIT (the tag and the window), else at the end of the packet.
 */
#include "tests/unit/check.h"

#include "tests/netns/podnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/conntrack_entry.h"
#include "lib/netlink.h"
#include "lib/text.h"
#include "tests/crc32c.h"

#define MAGIC 0x726f6f73u /* "roos" */
#define SNAP 256
#define BUFFER (8 << 20)
#define SCTP_INIT 20 /* bytes of the chunk */

static const uint8_t host_protos[PODNET_PROTOS] = {
	IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_GRE};
static const uint8_t host_mac[6] = {2, 0, 0, 0, 0, 1};

static int own_namespace(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void enter(int fd)
{
	assert_int_equal(setns(fd, CLONE_NEWNET), 0);
}

/* ip -batch with a text, in the namespace that the process is in. */
static void run_ip(const char *text)
{
	int pipes[2], status = 0;
	assert_int_equal(pipe(pipes), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(pipes[0], STDIN_FILENO);
		(void)close(pipes[1]);
		(void)execlp("ip", "ip", "-batch", "-", NULL);
		_exit(127);
	}
	(void)close(pipes[0]);
	assert_int_equal(write(pipes[1], text, strlen(text)), strlen(text));
	(void)close(pipes[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("ip -batch: status %d of\n%s", status, text);
}

static void set_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, value, strlen(value)), strlen(value));
	(void)close(fd);
}

/* A process that stays in a new namespace until its pipe closes: ip(8) wants one to move a link to. */
static pid_t holder(int pipes[2])
{
	char c = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipes), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(pipes[0]);
		if (unshare(CLONE_NEWNET) == 0 && write(pipes[1], &c, 1) == 1)
			(void)!read(pipes[1], &c, 1);
		_exit(0);
	}
	(void)close(pipes[1]);
	assert_int_equal(read(pipes[0], &c, 1), 1);
	return pid;
}

static void podnet_make_pod(struct podnet *p, size_t i)
{
	CLEANUP_TEXT struct text host = {0}, pod = {0};
	const char *v4 = ADDR_STRING(&p->addrs[i][IPV4]), *v6 = ADDR_STRING(&p->addrs[i][IPV6]);
	int pipes[2];
	char path[64], name[IF_NAMESIZE];
	pid_t pid = holder(pipes);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	p->pods[i] = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(p->pods[i] >= 0);
	text_add(&host,
		"link add pod%zu address 02:00:00:00:00:01 type veth peer name eth0 address "
		"02:00:00:00:01:%02zx netns %d\n"
		"link set pod%zu up\n"
		"neigh add %s lladdr 02:00:00:00:01:%02zx dev pod%zu nud permanent\n"
		"neigh add %s lladdr 02:00:00:00:01:%02zx dev pod%zu nud permanent\n",
		i, i, pid, i, v4, i, i, v6, i, i);
	run_ip(host.buf);
	text_add(&pod,
		"link set lo up\nlink set eth0 up\n"
		"addr add %s/32 dev eth0\naddr add %s/128 dev eth0 nodad\n"
		"neigh add 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent\n"
		"neigh add fe80::1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent\n"
		"route add default via 169.254.1.1 dev eth0 onlink\n"
		"route add ::/0 via fe80::1 dev eth0\n",
		v4, v6);
	enter(p->pods[i]);
	run_ip(pod.buf);
	enter(p->host);
	text_free(&host);
	text_add(&host, "route add %s/32 dev pod%zu\nroute add %s/128 dev pod%zu\n", v4, i, v6, i);
	run_ip(host.buf);
	(void)snprintf(name, sizeof(name), "pod%zu", i);
	enter(p->pods[i]);
	p->inner[i] = (int)if_nametoindex("eth0");
	enter(p->host);
	p->links[i] = (int)if_nametoindex(name);
	(void)close(pipes[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

void podnet_make_at(struct podnet *out, const struct addr (*addrs)[FAMILIES], size_t n)
{
	*out = (struct podnet){.n = n};
	assert_true(n <= PODNET_PODS);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	out->host = own_namespace();
	memcpy(out->addrs, addrs, n * sizeof(*addrs));
	out->gateways[IPV4] = (struct addr){.family = AF_INET, .bytes = {10, 99, 0, 1}};
	out->gateways[IPV6] = (struct addr){.family = AF_INET6, .bytes = {0xfd, 0x99, [15] = 1}};
	set_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
	set_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	run_ip("link set lo up\naddr add 10.99.0.1/32 dev lo\naddr add fd99::1/128 dev lo nodad\n");
	for (size_t i = 0; i < n; i++)
		podnet_make_pod(out, i);
}

void podnet_make(struct podnet *out, size_t n)
{
	struct addr addrs[PODNET_PODS][FAMILIES] = {0};
	for (size_t i = 0; i < PODNET_PODS; i++) {
		addrs[i][IPV4] =
			(struct addr){.family = AF_INET, .bytes = {10, 66, 0, (uint8_t)(i + 1)}};
		addrs[i][IPV6] = (struct addr){
			.family = AF_INET6, .bytes = {0xfd, 0x66, [15] = (uint8_t)(i + 1)}};
	}
	podnet_make_at(out, addrs, n);
}

void podnet_done(struct podnet *p)
{
	for (size_t i = 0; i < p->n; i++)
		(void)close(p->pods[i]);
	(void)close(p->host);
}

int podnet_socket(const struct podnet *p, size_t pod, int domain, int type, int protocol)
{
	if (pod < p->n)
		enter(p->pods[pod]);
	int fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (pod < p->n)
		enter(p->host);
	assert_true(fd >= 0);
	return fd;
}

/*
 * Packets.
 */

struct bytes {
	uint8_t v[SNAP];
	size_t n;
};

static void put(struct bytes *b, const void *bytes, size_t n)
{
	memcpy(b->v + b->n, bytes, n);
	b->n += n;
}

static void put16(struct bytes *b, uint16_t value)
{
	uint16_t be = htons(value);
	put(b, &be, sizeof(be));
}

static void put32(struct bytes *b, uint32_t value)
{
	uint32_t be = htonl(value);
	put(b, &be, sizeof(be));
}

static uint32_t sum(const uint8_t *p, size_t n, uint32_t start)
{
	for (size_t i = 0; i < n; i++)
		start += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return start;
}

static uint16_t fold(uint32_t value)
{
	while (value >> 16)
		value = (value & 0xffff) + (value >> 16);
	return (uint16_t)~value;
}

static void set16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_number(struct bytes *b, uint32_t number)
{
	put32(b, MAGIC);
	put32(b, number);
}

static void put_sctp(struct bytes *b, const struct podnet_packet *x)
{
	put16(b, x->sport);
	put16(b, x->dport);
	put32(b, 0);	  /* no tag yet */
	put32(b, 0);	  /* the checksum */
	put16(b, 0x0100); /* INIT */
	put16(b, SCTP_INIT);
	put32(b, x->number); /* the tag, and the window */
	put32(b, MAGIC);
	put16(b, 1);
	put16(b, 1);
	put32(b, 1);
	uint32_t crc = crc32c(b->v, b->n);
	for (size_t i = 0; i < 4; i++)
		b->v[8 + i] = (uint8_t)(crc >> 8 * i);
}

/* The transport's part, and where its checksum is (0: none). */
static size_t put_transport(struct bytes *b, const struct podnet_packet *x)
{
	static const uint8_t syn[8] = {0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff};
	switch (x->proto) {
	case IPPROTO_TCP:
		put16(b, x->sport);
		put16(b, x->dport);
		put32(b, x->number);
		put(b, syn, sizeof(syn));
		put32(b, 0);
		put_number(b, x->number);
		return 16;
	case IPPROTO_UDP:
		put16(b, x->sport);
		put16(b, x->dport);
		put16(b, 16);
		put16(b, 0);
		put_number(b, x->number);
		return 6;
	case IPPROTO_SCTP:
		put_sctp(b, x);
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		put(b, &x->icmp_type, 1);
		put(b, &x->icmp_code, 1);
		put16(b, 0);
		put32(b, x->number);
		put_number(b, x->number);
		return 2;
	default:
		put_number(b, x->number);
		return 0;
	}
}

static struct addr source_of(const struct podnet *p, const struct podnet_packet *x)
{
	return x->from == p->n ? p->gateways[x->family] : p->addrs[x->from][x->family];
}

static struct addr destination_of(const struct podnet *p, const struct podnet_packet *x)
{
	return x->to == p->n ? p->gateways[x->family] : p->addrs[x->to][x->family];
}

static struct bytes packet_of(const struct podnet *p, const struct podnet_packet *x)
{
	struct bytes b = {0}, t = {0};
	struct addr from = source_of(p, x), to = destination_of(p, x);
	size_t len = addr_size(&from);
	size_t at = put_transport(&t, x);
	if (at) {
		uint32_t start = x->proto == IPPROTO_ICMP
					 ? 0
					 : sum(to.bytes, len,
						   sum(from.bytes, len, x->proto + (uint32_t)t.n));
		set16(t.v + at, fold(sum(t.v, t.n, start)));
	}
	if (x->family == IPV4) {
		const uint8_t head[12] = {0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, x->proto};
		put(&b, head, sizeof(head));
		set16(b.v + 2, (uint16_t)(20 + t.n));
	} else {
		const uint8_t head[8] = {0x60, 0, 0, 0, 0, 0, x->proto, 64};
		put(&b, head, sizeof(head));
		set16(b.v + 4, (uint16_t)t.n);
	}
	put(&b, from.bytes, len);
	put(&b, to.bytes, len);
	if (x->family == IPV4)
		set16(b.v + 10, fold(sum(b.v, b.n, 0)));
	put(&b, t.v, t.n);
	return b;
}

void podnet_open_mouths(const struct podnet *p, struct podnet_mouths *out)
{
	const int on = 1;
	for (size_t i = 0; i < p->n; i++)
		out->fds[i][IPV4] = out->fds[i][IPV6] =
			podnet_socket(p, i, AF_PACKET, SOCK_DGRAM, 0);
	out->fds[p->n][IPV4] = podnet_socket(p, p->n, AF_INET, SOCK_RAW, IPPROTO_RAW);
	out->fds[p->n][IPV6] = podnet_socket(p, p->n, AF_INET6, SOCK_RAW, IPPROTO_RAW);
	assert_int_equal(
		setsockopt(out->fds[p->n][IPV6], IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof(on)), 0);
}

void podnet_close_mouths(const struct podnet *p, struct podnet_mouths *m)
{
	for (size_t i = 0; i < p->n; i++)
		(void)close(m->fds[i][IPV4]);
	(void)close(m->fds[p->n][IPV4]);
	(void)close(m->fds[p->n][IPV6]);
}

static void send_from_host(
	const struct podnet *p, const struct podnet_mouths *m, const struct podnet_packet *x)
{
	struct bytes b = packet_of(p, x);
	struct addr to = destination_of(p, x);
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	memcpy(&v4.sin_addr, to.bytes, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, to.bytes, sizeof(v6.sin6_addr));
	ssize_t r = x->family == IPV4
			    ? sendto(m->fds[p->n][IPV4], b.v, b.n, 0, (void *)&v4, sizeof(v4))
			    : sendto(m->fds[p->n][IPV6], b.v, b.n, 0, (void *)&v6, sizeof(v6));
	assert_true(r == (ssize_t)b.n || errno == EPERM);
}

void podnet_send(
	const struct podnet *p, const struct podnet_mouths *m, const struct podnet_packet *x)
{
	if (x->from == p->n) {
		send_from_host(p, m, x);
		return;
	}
	struct bytes b = packet_of(p, x);
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(x->family == IPV4 ? ETHERTYPE_IP : ETHERTYPE_IPV6),
		.sll_ifindex = p->inner[x->from],
		.sll_halen = 6};
	memcpy(to.sll_addr, host_mac, sizeof(host_mac));
	assert_int_equal(sendto(m->fds[x->from][IPV4], b.v, b.n, 0, (void *)&to, sizeof(to)), b.n);
}

static int open_ear(const struct podnet *p, int all, size_t pod, int domain, int type, int protocol)
{
	const int size = BUFFER;
	int fd = podnet_socket(p, pod, domain, type | SOCK_NONBLOCK, protocol);
	struct epoll_event on = {.events = EPOLLIN};
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	assert_int_equal(epoll_ctl(all, EPOLL_CTL_ADD, fd, &on), 0);
	return fd;
}

void podnet_listen(const struct podnet *p, struct podnet_ears *out)
{
	out->all = epoll_create1(EPOLL_CLOEXEC);
	assert_true(out->all >= 0);
	for (size_t i = 0; i < p->n; i++) {
		struct sockaddr_ll on = {.sll_family = AF_PACKET,
			.sll_protocol = htons(ETH_P_ALL),
			.sll_ifindex = p->inner[i]};
		out->fds[i] = open_ear(p, out->all, i, AF_PACKET, SOCK_DGRAM, 0);
		assert_int_equal(bind(out->fds[i], (void *)&on, sizeof(on)), 0);
	}
	for (size_t i = 0; i < PODNET_PROTOS; i++) {
		out->host[IPV4][i] = open_ear(p, out->all, p->n, AF_INET, SOCK_RAW, host_protos[i]);
		out->host[IPV6][i] =
			open_ear(p, out->all, p->n, AF_INET6, SOCK_RAW, host_protos[i]);
	}
}

void podnet_deafen(const struct podnet *p, struct podnet_ears *ears)
{
	for (size_t i = 0; i < p->n; i++)
		(void)close(ears->fds[i]);
	for (size_t i = 0; i < PODNET_PROTOS; i++) {
		(void)close(ears->host[IPV4][i]);
		(void)close(ears->host[IPV6][i]);
	}
	(void)close(ears->all);
}

void podnet_wait(const struct podnet_ears *ears, int timeout_ms)
{
	struct epoll_event one;
	(void)epoll_wait(ears->all, &one, 1, timeout_ms);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Of a packet as it came out; false: of somebody else, as an answer of a pod's kernel. */
static bool number_of_part(uint8_t proto, const uint8_t *p, size_t n, uint32_t *out)
{
	if (n < 8 || (proto == IPPROTO_SCTP && n < 24))
		return false;
	const uint8_t *at = p + n - 4, *magic = p + n - 8;
	if (proto == IPPROTO_SCTP) {
		magic = p + 20;
		at = p + 16;
	}
	*out = get32(at);
	return get32(magic) == MAGIC;
}

static bool number_of(const uint8_t *p, size_t n, uint32_t *out)
{
	size_t head = n && p[0] >> 4 == 4 ? 20 : 40;
	return n > head && number_of_part(p[head == 20 ? 9 : 6], p + head, n - head, out);
}

static bool hear_at_pod(int fd, uint32_t *number)
{
	for (;;) {
		uint8_t buf[SNAP];
		struct sockaddr_ll from = {0};
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (void *)&from, &size);
		if (n < 0)
			return false;
		if (from.sll_pkttype == PACKET_HOST && number_of(buf, (size_t)n, number))
			return true;
	}
}

/* Raw sockets of IPv6 give what is behind the header. */
static bool hear_at_host(int fd, enum family f, uint8_t proto, uint32_t *number)
{
	for (;;) {
		uint8_t buf[SNAP];
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0)
			return false;
		if (f == IPV4 ? number_of(buf, (size_t)n, number)
			      : number_of_part(proto, buf, (size_t)n, number))
			return true;
	}
}

bool podnet_hear(
	const struct podnet *p, const struct podnet_ears *ears, size_t pod, uint32_t *number)
{
	if (pod < p->n)
		return hear_at_pod(ears->fds[pod], number);
	for (enum family f = IPV4; f < FAMILIES; f++)
		for (size_t i = 0; i < PODNET_PROTOS; i++)
			if (hear_at_host(ears->host[f][i], f, host_protos[i], number))
				return true;
	return false;
}

void podnet_forget_connections(void)
{
	_Alignas(NLMSG_ALIGNTO) char question[CONNTRACK_MESSAGE], answer[1024];
	struct err e;
	int fd;
	assert_int_equal(netlink_open(NETLINK_NETFILTER, &fd, &e), 0);
	struct nlmsghdr *m =
		conntrack_message(question, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, AF_UNSPEC, 1);
	assert_int_equal(netlink_send(fd, m, m->nlmsg_len, &e), 0);
	assert_true(netlink_receive(fd, answer, sizeof(answer), &e) >= 0);
	(void)close(fd);
}
