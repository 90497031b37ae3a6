;; Multiplies two argument x argument matrices of doubles with the schoolbook algorithm and returns
;; the sum of the product. Element k of the inputs is (k mod 17) - 8 and (k mod 13) - 6.
;; Work grows with argument ** 3. Memory: three matrices.
(module
  (memory (export "memory") 1)

  (func $need (param $bytes i32)
    (local $pages i32)
    (local.set $pages
      (i32.sub
        (i32.shr_u (i32.add (local.get $bytes) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
          (then (unreachable))))))

  (func $fill (param $at i32) (param $count i32) (param $modulus i32) (param $shift i32)
    (local $k i32)
    (loop $next
      (f64.store
        (i32.add (local.get $at) (i32.shl (local.get $k) (i32.const 3)))
        (f64.convert_i32_s
          (i32.sub (i32.rem_u (local.get $k) (local.get $modulus)) (local.get $shift))))
      (br_if $next
        (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $count)))))

  ;; One element of the product: a row of the left matrix times a column of the right one.
  (func $dot (param $row i32) (param $column i32) (param $n i32) (param $stride i32) (result f64)
    (local $sum f64)
    (loop $next
      (local.set $sum
        (f64.add (local.get $sum)
          (f64.mul (f64.load (local.get $row)) (f64.load (local.get $column)))))
      (local.set $row (i32.add (local.get $row) (i32.const 8)))
      (local.set $column (i32.add (local.get $column) (local.get $stride)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (func (export "run") (param $n i32) (result f64)
    (local $cells i32) (local $bytes i32) (local $stride i32)
    (local $i i32) (local $j i32) (local $out i32) (local $value f64) (local $total f64)
    (local.set $cells (i32.mul (local.get $n) (local.get $n)))
    (local.set $bytes (i32.shl (local.get $cells) (i32.const 3)))
    (local.set $stride (i32.shl (local.get $n) (i32.const 3)))
    (call $need (i32.mul (local.get $bytes) (i32.const 3)))
    (call $fill (i32.const 0) (local.get $cells) (i32.const 17) (i32.const 8))
    (call $fill (local.get $bytes) (local.get $cells) (i32.const 13) (i32.const 6))
    (local.set $out (i32.shl (local.get $bytes) (i32.const 1)))
    (loop $rows
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $value
          (call $dot
            (i32.mul (local.get $i) (local.get $stride))
            (i32.add (local.get $bytes) (i32.shl (local.get $j) (i32.const 3)))
            (local.get $n)
            (local.get $stride)))
        (f64.store (local.get $out) (local.get $value))
        (local.set $total (f64.add (local.get $total) (local.get $value)))
        (local.set $out (i32.add (local.get $out) (i32.const 8)))
        (br_if $columns
          (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n))))
      (br_if $rows
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $total)))
