// What became of each request, and the summary that is printed.
package main

import (
	"sort"
	"sync"
	"time"
)

type sample struct {
	intended time.Duration
	latency  time.Duration
}

// All workers write here. A mutex a request costs a fraction of a microsecond; the request costs a hundred.
type recorder struct {
	mutex      sync.Mutex
	samples    []sample
	lates      []time.Duration
	operations int
	errors     int
	firstError string
	last       time.Duration
	longestGap time.Duration
}

func (r *recorder) add(intended, done time.Duration, count int, err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if err != nil {
		r.errors++
		if r.firstError == "" {
			r.firstError = err.Error()
		}
		return
	}
	r.operations += count
	r.samples = append(r.samples, sample{intended, done - intended})
	if gap := done - r.last; gap > r.longestGap {
		r.longestGap = gap
	}
	if done > r.last {
		r.last = done
	}
}

func (r *recorder) late(by time.Duration) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.lates = append(r.lates, by)
}

type latencies struct {
	P50  int64 `json:"p50"`
	P99  int64 `json:"p99"`
	P999 int64 `json:"p999"`
	Max  int64 `json:"max"`
}

type secondOfLoad struct {
	latencies
	Second     int `json:"second"`
	Operations int `json:"operations"`
}

type lag struct {
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

type result struct {
	Operations   int            `json:"operations"`
	Seconds      float64        `json:"seconds"`
	PerSecond    float64        `json:"perSecond"`
	Errors       int            `json:"errors"`
	FirstError   string         `json:"firstError"`
	Latency      latencies      `json:"latency"`
	LongestGap   int64          `json:"longestGap"`
	GeneratorCPU int64          `json:"generatorCpu"`
	GeneratorLag lag            `json:"generatorLag"`
	Series       []secondOfLoad `json:"series"`
}

// Nearest rank, in microseconds, of what is sorted.
func quantile(sorted []time.Duration, share float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	at := int(share*float64(len(sorted))+0.999999) - 1
	if at < 0 {
		at = 0
	}
	if at >= len(sorted) {
		at = len(sorted) - 1
	}
	return sorted[at].Microseconds()
}

func summarize(times []time.Duration) latencies {
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	return latencies{quantile(times, 0.5), quantile(times, 0.99), quantile(times, 0.999), quantile(times, 1)}
}

func (r *run) result() result {
	took := r.ended.Sub(r.started).Seconds()
	all := make([]time.Duration, len(r.record.samples))
	for at, sample := range r.record.samples {
		all[at] = sample.latency
	}
	lates := summarize(r.record.lates)
	series := []secondOfLoad{}
	if *rate > 0 {
		series = bySecond(r.record.samples)
	}
	return result{
		Operations:   r.record.operations,
		Seconds:      took,
		PerSecond:    float64(r.record.operations) / took,
		Errors:       r.record.errors,
		FirstError:   r.record.firstError,
		Latency:      summarize(all),
		LongestGap:   r.record.longestGap.Microseconds(),
		GeneratorCPU: ownCPU(),
		GeneratorLag: lag{lates.P99, lates.Max},
		Series:       series,
	}
}

func bySecond(samples []sample) []secondOfLoad {
	seconds := map[int][]time.Duration{}
	last := 0
	for _, sample := range samples {
		second := int(sample.intended.Seconds())
		seconds[second] = append(seconds[second], sample.latency)
		if second > last {
			last = second
		}
	}
	series := make([]secondOfLoad, 0, last+1)
	for second := 0; second <= last; second++ {
		series = append(series, secondOfLoad{summarize(seconds[second]), second, len(seconds[second])})
	}
	return series
}
