/*
 * The CNI executable that a container runtime starts (CNI specification 1.0).
 *
 * It decides nothing: it opens the pod's network namespace, enters it only to open a NETLINK_ROUTE socket there, and
 * hands both descriptors with CNI_* and stdin to the node's agent over a unix socket. The agent needs no
 * CAP_SYS_ADMIN that way. VERSION is answered here, so that a runtime can ask before there is an agent.
 *
 * Request:  u32 length (big endian) | six NUL-terminated values in the order of `names` | stdin as it came.
 * Answer:   u32 length (big endian) | u8 exit status | JSON for stdout.
 * ADD and CHECK carry two descriptors with the first byte (namespace, netlink socket); DEL as many as there are, or none.
 *
 * Environment of our own, for labs and tests: MUSLIN_CNI_SOCKET, MUSLIN_CNI_DEADLINE_MS.
 * Every way out prints exactly one JSON object; the process holds no state.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <linux/netlink.h>

#ifndef MUSLIN_CNI_SOCKET
#define MUSLIN_CNI_SOCKET "/run/calico/muslin-cni.sock"
#endif
#define MAX_VALUE 8192            /* one CNI_* value; CNI_ARGS and CNI_PATH are the long ones */
#define MAX_MESSAGE (1024 * 1024) /* request or answer; the server has the same limit */
#define DEADLINE_MS 60000         /* kubelet gives up after minutes; an agent that is alive needs milliseconds */

enum code { BAD_ENVIRONMENT = 4, IO_FAILURE = 5, BAD_INPUT = 6, TRY_AGAIN = 11 }; /* CNI 1.0, section 5, Error */

static const char *const names[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"};
enum { COMMAND, CONTAINERID, NETNS, IFNAME, ARGS, PATH, COUNT };

static unsigned char buffer[MAX_MESSAGE + 4];
static int64_t deadline;

static void print_json_string(const char *text)
{
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c < 0x20 || *c > 0x7e) /* what is not ASCII is shown as bytes: it need not be UTF-8 */
            printf("\\\\x%02x", *c);
        else
            putchar(*c);
    }
    putchar('"');
}

static int refuse(enum code code, const char *what, const char *where, int error, const char *fix)
{
    printf("{\"cniVersion\":\"1.0.0\",\"code\":%d,\"msg\":", (int)code);
    print_json_string(what);
    char details[2 * MAX_VALUE + 512];
    snprintf(details, sizeof details, "where: %s%s%s; fix: %s", where, error ? ": " : "", error ? strerror(error) : "", fix);
    printf(",\"details\":");
    print_json_string(details);
    printf("}\n");
    return 1;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Wait until the descriptor is ready; -1 with ETIMEDOUT once the deadline of the whole call has passed. */
static int wait_for(int fd, short events)
{
    for (;;) {
        int64_t left = deadline - now_ms();
        struct pollfd wanted = {.fd = fd, .events = events, .revents = 0};
        int ready = left > 0 ? poll(&wanted, 1, (int)left) : 0;
        if (ready > 0)
            return 0;
        if (ready == 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        if (errno != EINTR)
            return -1;
    }
}

static int connect_agent(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = ""};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (agent < 0)
        return -1;
    /* A unix socket connects at once or, with a full backlog, says EAGAIN: then the agent is busy, try again later. */
    if (connect(agent, (const struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(agent);
        errno = error;
        return -1;
    }
    return agent;
}

static int send_request(int agent, size_t size, const int *fds, int count)
{
    size_t sent = 0;
    while (sent < size) {
        union {
            char bytes[CMSG_SPACE(2 * sizeof(int))];
            struct cmsghdr align;
        } control = {.bytes = {0}};
        struct iovec part = {.iov_base = buffer + sent, .iov_len = size - sent};
        struct msghdr message = {0};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (sent == 0 && count > 0) {
            message.msg_control = control.bytes;
            message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
            memcpy(CMSG_DATA(header), fds, (size_t)count * sizeof(int));
        }
        ssize_t n = sendmsg(agent, &message, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN) {
            if (wait_for(agent, POLLOUT) < 0)
                return -1;
        } else if (errno != EINTR)
            return -1;
    }
    return 0;
}

/* Read exactly `size` bytes; -1 with ECONNRESET where the agent ends before. */
static int receive(int agent, unsigned char *into, size_t size)
{
    while (size > 0) {
        ssize_t n = recv(agent, into, size, 0);
        if (n > 0) {
            into += n;
            size -= (size_t)n;
        } else if (n == 0) {
            errno = ECONNRESET;
            return -1;
        } else if (errno == EAGAIN) {
            if (wait_for(agent, POLLIN) < 0)
                return -1;
        } else if (errno != EINTR)
            return -1;
    }
    return 0;
}

static uint32_t length_at(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

int main(void)
{
    const char *values[COUNT];
    size_t size = 4;
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < COUNT; i++) {
        values[i] = getenv(names[i]) ? getenv(names[i]) : "";
        size_t length = strlen(values[i]) + 1;
        if (length > MAX_VALUE)
            return refuse(BAD_ENVIRONMENT, "a variable of the environment is too long", names[i], 0, "8191 bytes at most");
        memcpy(buffer + size, values[i], length);
        size += length;
    }
    if (strcmp(values[COMMAND], "VERSION") == 0) {
        puts("{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\"]}");
        return 0;
    }
    int adds = strcmp(values[COMMAND], "ADD") == 0, checks = strcmp(values[COMMAND], "CHECK") == 0;
    if (!adds && !checks && strcmp(values[COMMAND], "DEL") != 0)
        return refuse(BAD_ENVIRONMENT, "CNI_COMMAND is not one that this plugin knows", values[COMMAND], 0,
                      "a container runtime starts this program with CNI_COMMAND=ADD, DEL, CHECK or VERSION");
    for (;;) {
        ssize_t n = read(STDIN_FILENO, buffer + size, sizeof buffer - size);
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse(IO_FAILURE, "the network configuration can't be read", "stdin", errno, "see the runtime's log");
        size += (size_t)n;
        if (size == sizeof buffer)
            return refuse(BAD_INPUT, "the network configuration is too long", "stdin", 0, "1 MiB at most");
    }

    const char *path = getenv("MUSLIN_CNI_SOCKET") ? getenv("MUSLIN_CNI_SOCKET") : MUSLIN_CNI_SOCKET;
    const char *limit = getenv("MUSLIN_CNI_DEADLINE_MS");
    long limit_ms = limit ? strtol(limit, NULL, 10) : DEADLINE_MS;
    deadline = now_ms() + (limit_ms > 0 && limit_ms <= 600000 ? limit_ms : DEADLINE_MS);
    const char *away = "start muslin agent on this node, or see its log; the runtime will try again";

    /* A pod that is being deleted may have lost its namespace already: DEL goes on without. */
    int fds[2], count = 0;
    const char *step = "open";
    fds[0] = values[NETNS][0] ? open(values[NETNS], O_RDONLY | O_CLOEXEC) : -1;
    if (fds[0] >= 0) {
        step = "enter";
        if (setns(fds[0], CLONE_NEWNET) == 0) {
            step = "open a netlink socket in";
            fds[1] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
            count = fds[1] >= 0 ? 2 : 0;
        }
    }
    if (count == 0 && (adds || checks)) {
        char what[128];
        int error = values[NETNS][0] ? errno : 0;
        snprintf(what, sizeof what, "can't %s the network namespace of the container", step);
        return refuse(BAD_ENVIRONMENT, what, values[NETNS][0] ? values[NETNS] : "CNI_NETNS is empty", error,
                      "CNI_NETNS must be the path of a network namespace, and this program needs CAP_SYS_ADMIN over it");
    }

    /* Connected last: the request is there when the agent looks. A path is the same in every network namespace. */
    int agent = connect_agent(path);
    if (agent < 0)
        return refuse(TRY_AGAIN, "the node's agent does not answer", path, errno, away);

    uint32_t length = (uint32_t)(size - 4);
    buffer[0] = (unsigned char)(length >> 24);
    buffer[1] = (unsigned char)(length >> 16);
    buffer[2] = (unsigned char)(length >> 8);
    buffer[3] = (unsigned char)length;
    /* An agent that refuses early closes its end while we still send; its answer is there to be read. */
    if (send_request(agent, size, fds, count) < 0 && errno != EPIPE && errno != ECONNRESET)
        return refuse(TRY_AGAIN, "the node's agent does not take the request", path, errno, away);
    unsigned char head[5];
    if (receive(agent, head, sizeof head) < 0)
        return refuse(TRY_AGAIN, "the node's agent did not answer in time", path, errno, away);
    length = length_at(head);
    if (length < 1 || length > MAX_MESSAGE)
        return refuse(IO_FAILURE, "the node's agent gave an answer of impossible length", path, 0, "use programs of one version");
    if (receive(agent, buffer, length - 1) < 0)
        return refuse(TRY_AGAIN, "the node's agent broke off in its answer", path, errno, away);
    if (fwrite(buffer, 1, length - 1, stdout) != length - 1 || fflush(stdout) != 0)
        return 1;
    return head[4];
}
