// SPDX-License-Identifier: MIT

// What the Go runtime does with stacks and program counters, for go.sh and gorace.sh: each
// argument NAME[=N] runs that one N times, and the output is the same whatever
// is probed.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
)

type node struct {
	left, right *node
	value       int
}

//go:noinline
func tree(depth int) *node {
	if depth == 0 {
		return &node{value: 1}
	}
	return &node{tree(depth - 1), tree(depth - 1), 1}
}

//go:noinline
func (n *node) sum() int {
	if n.left == nil {
		return n.value
	}
	return n.left.sum() + n.right.sum() + n.value
}

// Faults in its first instruction when n is nil.
//
//go:noinline
func (n *node) first() int { return n.value }

// Faults later.
//
//go:noinline
func (n *node) later(k int) int {
	s := 0
	for i := 0; i < k; i++ {
		s += i
	}
	return s + n.right.value
}

// A frame of some size: the stack grows under it, again and again.
//
//go:noinline
func deep(n int) int {
	var pad [64]int
	pad[n%64] = n
	if n == 0 {
		return 0
	}
	return deep(n-1) + pad[n%64] - n + 1
}

func parallel(n int, f func(i int) int) int {
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for i := 0; i < n; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			v := f(i)
			mu.Lock()
			total += v
			mu.Unlock()
		}(i)
	}
	wg.Wait()
	return total
}

func goroutines(n int) int {
	c := make(chan int)
	go func() {
		for i := 0; i < n; i++ {
			c <- i
		}
		close(c)
	}()
	return parallel(100, func(int) int {
		s := 0
		for v := range c {
			s += v
			runtime.Gosched()
		}
		return s
	})
}

// Grows to a megabyte and shrinks in the collections between.
func stacks(n int) int {
	s := 0
	for i := 0; i < n; i++ {
		s += parallel(8, func(int) int {
			v := deep(2000)
			runtime.GC()
			return v + deep(10)
		})
	}
	return s
}

//go:noinline
func guarded(f func() int) (v int) {
	defer func() {
		if r := recover(); r != nil {
			v = 1
			if e, ok := r.(runtime.Error); ok &&
				strings.Contains(e.Error(), "nil pointer") {
				v = 2
			}
		}
	}()
	return f()
}

func panics(n int) int {
	s := 0
	var nowhere *node
	half := &node{}
	for i := 0; i < n; i++ {
		s += guarded(func() int { panic(errors.New("own")) })
		s += guarded(func() int { return nowhere.first() })
		s += guarded(func() int { return half.later(i % 8) })
		s += guarded(func() int {
			defer func() { recover(); panic("again") }()
			return nowhere.later(1)
		})
		s += guarded(func() int { return []int{1}[i+1] })
		s += guarded(func() int { return i / (i - i) })
		s += guarded(func() int { return deep(100) + nowhere.first() })
	}
	return s
}

func garbage(n int) int {
	debug.SetGCPercent(5)
	defer debug.SetGCPercent(100)
	return parallel(4, func(int) int {
		s := 0
		for i := 0; i < n; i++ {
			s += tree(8).sum()
		}
		return s
	})
}

//go:noinline
func spin(n int) int {
	s := 0
	for i := 0; i < n; i++ {
		s ^= i
	}
	return s
}

// Loops without calls, which only signals can stop for the collector.
func preempt(n int) int {
	stop := make(chan bool)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	s := parallel(4, func(int) int { return spin(n*1000000) & 1 })
	stop <- true
	return s
}

func profile(n int) int {
	var out bytes.Buffer
	runtime.SetCPUProfileRate(2000)
	if err := pprof.StartCPUProfile(&out); err != nil {
		panic(err)
	}
	s := garbage(n) + stacks(1)
	pprof.StopCPUProfile()
	if out.Len() == 0 {
		panic("no profile")
	}
	return s
}

func traceback(n int) int {
	s := 0
	for i := 0; i < n; i++ {
		var pcs [64]uintptr
		k := runtime.Callers(0, pcs[:])
		frames := runtime.CallersFrames(pcs[:k])
		for {
			f, more := frames.Next()
			if f.Function == "main.traceback" {
				s++
			}
			if !more {
				break
			}
		}
		buf := make([]byte, 1<<16)
		if !bytes.Contains(buf[:runtime.Stack(buf, true)],
			[]byte("main.traceback")) {
			panic("not in the traceback")
		}
	}
	return s
}

func serve(n int) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/panic" {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "%s %d", r.URL.Path, len(b))
	})
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	url := "http://" + l.Addr().String()
	const clients = 16
	s := parallel(clients, func(c int) int {
		ok := 0
		client := &http.Client{Transport: &http.Transport{}}
		for i := c; i < n; i += clients {
			if i%100 == 99 {
				if _, err := client.Get(url + "/panic"); err == nil {
					panic("no error")
				}
				ok++
				continue
			}
			path := "/" + strconv.Itoa(i)
			r, err := client.Post(url+path, "text/plain",
				strings.NewReader(strings.Repeat("x", i%5000)))
			if err != nil {
				panic(err)
			}
			b, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err == nil && string(b) == fmt.Sprint(path, " ", i%5000) {
				ok++
			}
		}
		return ok
	})
	server.Close()
	return s
}

// Functions that do not look whether there is stack left, as much of it as the
// linker allows, entered with more and more of a small stack in use: some of
// them stand at its very end, with another goroutine's stack below.
//
//go:noinline
//go:nosplit
func bottom(n int) int { return n + 1 }

//go:noinline
//go:nosplit
func low(n int) int {
	var pad [400]byte
	pad[n&255] = 1
	return bottom(n) + int(pad[n&255])
}

//go:noinline
//go:nosplit
func lower(n int) int {
	var pad [240]byte
	pad[n&127] = 1
	return low(n) + int(pad[n&127])
}

//go:noinline
func edge(n int) int {
	if n == 0 {
		return lower(1)
	}
	return edge(n-1) + 1
}

func edges(n int) int {
	go2 := make(chan bool)
	var wg sync.WaitGroup
	total := make([]int, 4*n)
	for i := range total {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			<-go2
			total[i] = edge(i % 80)
		}(i)
	}
	close(go2)
	wg.Wait()
	s := 0
	for _, v := range total {
		s += v
	}
	return s
}

// Work that never ends: for what a signal finds.
func forever(int) int {
	return parallel(4, func(i int) int {
		for {
			deep(20)
		}
	})
}

func main() {
	all := map[string]func(int) int{
		"goroutines": goroutines, "stacks": stacks, "panics": panics,
		"garbage": garbage, "preempt": preempt, "profile": profile,
		"edges": edges, "traceback": traceback, "serve": serve, "forever": forever,
		"deep": func(n int) int { return deep(n) },
		"sleep": func(n int) int {
			time.Sleep(time.Duration(n) * time.Millisecond)
			return 0
		},
	}
	for _, arg := range os.Args[1:] {
		name, times, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(times)
		if err != nil {
			n = 1
		}
		fmt.Println(name, all[name](n))
	}
}
